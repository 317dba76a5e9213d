"""Checks a bundle of unknown origin in a child process with limited memory and CPU time, before this process opens it.

A model may ask for more memory or time than any machine has, by operators that are all allowed. `check` runs every
digest check and the golden frames in the child, so such a model ends the child alone.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from runtime.errors import BundleUnsupported

MAX_MEMORY_BYTES = 1 << 30
MAX_CPU_S = 60
MAX_WALL_S = 180
_REFUSED = 3  # exit status of the child when an error of this package says why


def check(
    path: str | Path,
    *,
    memory_bytes: int = MAX_MEMORY_BYTES,
    cpu_s: int = MAX_CPU_S,
    trusted_keys: str | Path | None = None,
) -> None:
    """Load a bundle and run its golden frames on every installed engine, in a child process.

    Args:
        path: A bundle directory or its .zip.
        memory_bytes: The data that the child may allocate (RLIMIT_DATA, Linux).
        cpu_s: The CPU seconds that the child may take.
        trusted_keys: As in `Bundle.load`.

    Raises:
        BundleUnsupported: The check failed, or needed more than it may; the message says which.
    """
    command = [sys.executable, "-m", __name__, str(path), str(memory_bytes), str(cpu_s), str(trusted_keys or "")]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MAX_WALL_S, check=False)
    except subprocess.TimeoutExpired:
        raise BundleUnsupported(
            f"{path} must be checked within {MAX_WALL_S} s, but was not; use a bundle of a smaller model"
        ) from None
    if done.returncode == _REFUSED:
        raise BundleUnsupported(f"{path} did not pass the check in a process of its own: {done.stdout.strip()}")
    if done.returncode:
        raise BundleUnsupported(
            f"{path} must be usable with {memory_bytes >> 20:,} MiB and {cpu_s} CPU seconds, but the process that "
            f"checked it ended with status {done.returncode}; use a bundle of a smaller model"
        )


def _main(path: str, memory_bytes: int, cpu_s: int, trusted_keys: str) -> int:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    from runtime.bundle import Bundle
    from runtime.errors import EdgefsError

    try:
        Bundle.load(path, trusted_keys=trusted_keys or None).verify()
    except EdgefsError as error:
        print(error)
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
