"""Time single calls and summarise them.

On a shared machine a slow call may only mean that its thread waited for a CPU. Linux counts that waiting time for each
thread (/proc/PID/task/*/schedstat). Engines use threads of their own, so all threads of the process are read. A call is
*uncontended* when its threads together waited no longer than it takes to start a worker thread on an idle machine. Both
kinds of calls are reported. CPU time taken by a hypervisor is not visible here; `machine.py` reports it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

WAKE_UP_MS = 0.05
TASKS = Path("/proc/self/task")
# A percentile is stated from this many samples on: 99 % confidence (MLPerf Inference rules).
FLOORS = {50: 10, 90: 64, 95: 130, 99: 662}


class Sample(NamedTuple):
    """Wall time of one call, and how long the threads of this process waited for a CPU during it; milliseconds."""

    ms: float
    waited_ms: float = 0.0

    @property
    def uncontended(self) -> bool:
        return self.waited_ms <= WAKE_UP_MS


class Clock:
    """Times calls. Call `refresh` after threads were started or ended, and `close` to free the file handles."""

    def __init__(self, tasks: Path = TASKS) -> None:
        self._tasks = tasks
        self._waits: dict[int, int] = {}  # file handle of a thread -> nanoseconds that it has waited
        self.refresh()

    def __call__(self, call: Callable[[], object]) -> Sample:
        before = self._waited_ns()
        start = time.perf_counter_ns()
        call()
        elapsed = time.perf_counter_ns() - start
        return Sample(elapsed / 1e6, (self._waited_ns() - before) / 1e6)

    def refresh(self) -> None:
        """Find the current threads. Where the kernel does not report waiting, every sample counts as uncontended."""
        self.close()
        with contextlib.suppress(OSError):
            for task in self._tasks.iterdir():
                with contextlib.suppress(OSError):  # the thread has just ended
                    self._waits[os.open(task / "schedstat", os.O_RDONLY)] = 0

    def close(self) -> None:
        while self._waits:
            os.close(self._waits.popitem()[0])

    def _waited_ns(self) -> int:
        for file in self._waits:
            with contextlib.suppress(OSError, IndexError):  # a thread that has ended keeps its last count
                self._waits[file] = int(os.pread(file, 96, 0).split()[1])
        return sum(self._waits.values())


def figures(samples: Sequence[Sample]) -> dict[str, Any]:
    """Summarise samples: their number, p50_ms, p90_ms, p95_ms, p99_ms and max_ms.

    The same keys with the prefix `uncontended_` cover the uncontended samples. A percentile is None where there are
    too few samples for it.
    """
    found: dict[str, Any] = {}
    for prefix, chosen in (("", samples), ("uncontended_", [sample for sample in samples if sample.uncontended])):
        ms = [sample.ms for sample in chosen]
        found[f"{prefix}samples"] = len(ms)
        for q, floor in FLOORS.items():
            found[f"{prefix}p{q}_ms"] = round(float(np.percentile(ms, q)), 4) if len(ms) >= floor else None
        found[f"{prefix}max_ms"] = round(max(ms), 4) if ms else None
    return found


def typical(summary: dict[str, Any], name: str = "p50_ms") -> float | None:
    """One figure of a summary: of the uncontended calls where there are enough of them, else of all calls."""
    return summary[f"uncontended_{name}"] or summary[name]  # type: ignore[no-any-return]
