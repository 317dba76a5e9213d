"""Which engine was fastest here, remembered, so that `engine="auto"` opens one engine and not all of them.

One small JSON file, in EDGEFS_MODEL_CACHE where that names a folder, else in the user's cache folder. It holds names
and numbers, never code: a wrong one costs speed and nothing else. A choice is kept per model, precision and machine,
and holds until the version of its engine changes; `edgefs doctor --tune` measures more carefully and replaces it.
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
MAX_CHOICES = 100  # the oldest give way


@dataclass(frozen=True)
class Choice:
    """engine, version: what to open.  threads: of one call; None where nobody measured them.  reason: in words."""

    engine: str
    version: str
    threads: int | None
    reason: str


def file() -> Path:
    """Where the choices are kept."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(CACHE) or Path(caches) / "edgefs") / "engines.json"


def remembered(bundle: Bundle, precision: str, threads: int | None = None) -> Choice | None:
    """The choice for this model here and the threads asked for; None where there is none or it cannot be read."""
    try:
        choice = Choice(**_all()[_key(bundle, precision, threads)])
    except (KeyError, TypeError):
        return None
    sound = isinstance(choice.engine, str) and isinstance(choice.version, str) and isinstance(choice.reason, str)
    fits = choice.threads is None or (type(choice.threads) is int and 1 <= choice.threads <= cpus())
    return choice if sound and fits else None


def remember(bundle: Bundle, precision: str, choice: Choice, threads: int | None = None) -> bool:
    """Keep a choice; False where the folder cannot be written, as on a read-only device, which is no fault."""
    import tempfile  # 5 ms that reading a choice need not pay

    key, path = _key(bundle, precision, threads), file()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [(k, value) for k, value in _all().items() if k != key][1 - MAX_CHOICES :]
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".engines.", delete=False) as aside:
            json.dump(dict([*kept, (key, asdict(choice))]), aside, indent=1)
        Path(aside.name).replace(path)  # a reader sees the old file or the new one
        return True
    return False


def _all() -> dict[str, Any]:
    try:
        found = json.loads(file().read_text())
    except (OSError, ValueError, RecursionError, RuntimeError):  # RuntimeError: no home folder
        return {}
    return found if isinstance(found, dict) else {}


def _key(bundle: Bundle, precision: str, threads: int | None) -> str:
    return f"{bundle.fingerprint} {precision} {threads or 'any'} threads, {platform.machine()} {_cpu()} x{cpus()}"


def _cpu() -> str:
    """The CPU's name where Linux tells it: a disk may move to another machine."""
    with contextlib.suppress(OSError), Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    return ""
