"""Time from a fresh process to the first answer: nothing is warm that would not be warm for a user.

`python -m edgefs.bench.opening ENGINE PRECISION THREADS BUNDLE [DEVICE]` prints the figures of one start as one line
of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefs.errors import BenchError

if TYPE_CHECKING:  # what this module imports at once would be missing from `import_ms`
    from runtime.bundle import Bundle


def openings(bundle: Bundle, engine: str, precision: str, threads: int, device: str | None = None) -> dict[str, Any]:
    """Open a bundle in two new processes: "cold" has an empty model cache, "cached" the one that "cold" has filled.

    Raises:
        BenchError: The process failed.
    """
    with tempfile.TemporaryDirectory(prefix="edgefs-bench-") as folder:
        path = bundle.path or bundle.save(Path(folder) / "bundle.edgefs").path
        command = [sys.executable, "-m", "edgefs.bench.opening", engine, precision, str(threads), str(path)]
        command += [] if device is None else [device]
        cache = Path(folder) / "cache"
        cache.mkdir()
        return {when: _run(command, cache) for when in ("cold", "cached")}


def _run(command: list[str], cache: Path) -> dict[str, Any]:
    env = {**os.environ, "EDGEFS_MODEL_CACHE": str(cache)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(
            f"opening {command[3]} {command[4]} in a new process must succeed, but it failed: "
            f"{done.stderr.strip()[-400:]}; run: edgefs doctor"
        )
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def open_once(engine: str, precision: str, threads: int, path: str, device: str | None = None) -> dict[str, Any]:
    """Import, load, open and recognise in this process: milliseconds without the interpreter's start, and memory."""
    stamps = [time.perf_counter()]

    def lap() -> float:
        stamps.append(time.perf_counter())
        return round((stamps[-1] - stamps[-2]) * 1e3, 2)

    import numpy as np

    from runtime.bundle import Bundle
    from runtime.recognizer import Recognizer

    found: dict[str, Any] = {"import_ms": lap()}
    bundle = Bundle.load(path)
    found["load_ms"] = lap()
    with Recognizer(bundle, engine=engine, precision=precision, threads=threads, device=device) as recognizer:
        found["compile_ms"] = lap()
        frame = np.full((720, 1280, 3), 128, np.uint8)
        lap()
        recognizer.recognize(frame)
        found["first_call_ms"] = lap()
        found["until_first_answer_ms"] = round((stamps[-1] - stamps[0]) * 1e3, 2)
        found["resident_mb"], found["peak_memory_mb"] = _memory_mb("VmRSS"), _memory_mb("VmHWM")
    return found


def _memory_mb(field: str) -> float | None:
    """Memory of this process from /proc; ru_maxrss would include the process that started it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith(field)), None)


if __name__ == "__main__":
    print(json.dumps(open_once(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])))
