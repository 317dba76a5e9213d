"""Time one call, and know whether it was left alone.

On a shared machine a slow sample says little about the code: the thread may simply have waited for a CPU. Linux counts
that wait per thread (/proc/PID/task/*/schedstat), and engines work in threads of their own, so all of them are read. A
sample is *undisturbed* when together they waited no longer than waking a worker costs on an idle machine. Nothing is
thrown away: both kinds are reported. What a hypervisor takes away is not seen here; `machine.py` reports that.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

WAKE_UP_MS = 0.05
TASKS = Path("/proc/self/task")


class Sample(NamedTuple):
    """Wall time of one call, ms, and how long this process's threads waited for a CPU meanwhile, ms."""

    ms: float
    waited_ms: float = 0.0

    @property
    def undisturbed(self) -> bool:
        return self.waited_ms <= WAKE_UP_MS


class Clock:
    """Times calls. `refresh` after threads were started or ended; `close` gives the file handles back."""

    def __init__(self, tasks: Path = TASKS) -> None:
        self._tasks = tasks
        self._waits: dict[int, int] = {}  # file handle of a thread -> what it has waited, ns
        self.refresh()

    def __call__(self, call: Callable[[], object]) -> Sample:
        before = self._waited_ns()
        start = time.perf_counter_ns()
        call()
        elapsed = time.perf_counter_ns() - start
        return Sample(elapsed / 1e6, (self._waited_ns() - before) / 1e6)

    def refresh(self) -> None:
        """Look again which threads there are. Where the kernel does not tell, every sample counts as undisturbed."""
        self.close()
        with contextlib.suppress(OSError):
            for task in self._tasks.iterdir():
                with contextlib.suppress(OSError):  # a thread that has just ended
                    self._waits[os.open(task / "schedstat", os.O_RDONLY)] = 0

    def close(self) -> None:
        while self._waits:
            os.close(self._waits.popitem()[0])

    def _waited_ns(self) -> int:
        for file in self._waits:
            with contextlib.suppress(OSError, IndexError):  # a thread that has ended keeps what it had waited
                self._waits[file] = int(os.pread(file, 96, 0).split()[1])
        return sum(self._waits.values())
