"""A file that remembers which engine was fastest here, so that `engine="auto"` opens one engine and not all of them.

It is one small JSON file, in the folder that EDGEFS_MODEL_CACHE names, else in the user's cache folder. It holds names
and numbers, never code, so a wrong entry costs speed and nothing else. An entry is kept per model, precision and
machine. It is valid until the version of its engine changes. `edgefs doctor --tune` measures more carefully and
replaces it.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runtime.bundle import Bundle
from runtime.engines.base import cpus

CACHE = "EDGEFS_MODEL_CACHE"
MAX_CHOICES = 100  # the oldest entries are removed first


@dataclass(frozen=True)
class Choice:
    """The engine to open.

    Attributes:
        engine: Its name.
        version: The version of its library that was measured.
        threads: CPU threads of one call; None if they were not measured.
        reason: Why it was chosen, for people.
    """

    engine: str
    version: str
    threads: int | None
    reason: str


def file() -> Path:
    """Return the path of the file."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(CACHE) or Path(caches) / "edgefs") / "engines.json"


def remembered(bundle: Bundle, precision: str, threads: int | None = None) -> Choice | None:
    """Return the choice for this model on this machine, or None if there is none that is valid.

    Args:
        bundle: The bundle to open.
        precision: Precision of the artifact.
        threads: The number of threads the caller asked for; None if the caller left it open.
    """
    try:
        choice = Choice(**_all()[_key(bundle, precision, threads)])
    except (KeyError, TypeError):
        return None
    sound = isinstance(choice.engine, str) and isinstance(choice.version, str) and isinstance(choice.reason, str)
    fits = choice.threads is None or (type(choice.threads) is int and 1 <= choice.threads <= cpus())
    return choice if sound and fits else None


def remember(bundle: Bundle, precision: str, choice: Choice, threads: int | None = None) -> bool:
    """Store a choice. Returns False if the folder cannot be written, as on a read-only device, which is no error."""
    import tempfile  # imported here because it takes 5 ms, which reading a choice does not need

    key, path = _key(bundle, precision, threads), file()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [(k, value) for k, value in _all().items() if k != key][1 - MAX_CHOICES :]
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".engines.", delete=False) as new:
            json.dump(dict([*kept, (key, asdict(choice))]), new, indent=1)
        Path(new.name).replace(path)  # a reader sees the old file or the new one
        return True
    return False


def _all() -> dict[str, Any]:
    try:
        found = json.loads(file().read_text())
    except (OSError, ValueError, RecursionError, RuntimeError):  # RuntimeError: there is no home folder
        return {}
    return found if isinstance(found, dict) else {}


def _key(bundle: Bundle, precision: str, threads: int | None) -> str:
    return f"{bundle.fingerprint} {precision} {threads or 'any'} threads, {platform.machine()} {_cpu()} x{cpus()}"


def _cpu() -> str:
    """Return the name of the CPU, which Linux knows; it is part of the key because a disk may change machines."""
    with contextlib.suppress(OSError), Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    return ""
