"""What it takes until the first answer, each time in a process of its own: nothing is warm that a user's would not be.

python -m edgefs.bench.opening ENGINE PRECISION THREADS [BUNDLE]     # one opening, as one line of JSON
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

if TYPE_CHECKING:  # what is imported here would be missing from `import_ms`
    from runtime.bundle import Bundle

CACHE = "EDGEFS_MODEL_CACHE"


def openings(bundle: Bundle, engine: str, precision: str, threads: int) -> dict[str, Any]:
    """Open twice, with an empty and with a filled model cache. Raises BenchError when the process fails."""
    with tempfile.TemporaryDirectory(prefix="edgefs-bench-") as folder:
        path = bundle.path
        if path is None:
            path = bundle.save(Path(folder) / "bundle.edgefs").path
        arguments = [engine, precision, str(threads), str(path)]
        cold, cached = (_open_in_process(arguments, Path(folder) / "cache") for _ in range(2))
    return {"cold": cold, "cached": cached}


def _open_in_process(arguments: list[str], cache: Path) -> dict[str, Any]:
    cache.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "edgefs.bench.opening", *arguments]
    done = subprocess.run(command, env={**os.environ, CACHE: str(cache)}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"opening {' '.join(arguments[:2])} must answer, but ended with: {done.stderr.strip()[-400:]}")
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def open_once(engine: str, precision: str, threads: int, path: str) -> dict[str, Any]:
    """Import, load, open, recognise, in this process; ms without the interpreter's own start, and memory in MB."""
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
    with Recognizer(bundle, engine=engine, precision=precision, threads=threads) as recognizer:
        found["compile_ms"] = lap()
        frame = np.full((720, 1280, 3), 128, np.uint8)
        lap()
        recognizer.recognize(frame)
        found["first_call_ms"] = lap()
        found["until_first_answer_ms"] = round((stamps[-1] - stamps[0]) * 1e3, 2)
        found["resident_mb"], found["peak_memory_mb"] = _memory_mb("VmRSS"), _memory_mb("VmHWM")
    return found


def _memory_mb(field: str) -> float | None:
    """Of this process, from /proc: ru_maxrss would also count the process that started this one."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith(field)), None)


if __name__ == "__main__":
    print(json.dumps(open_once(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])))
