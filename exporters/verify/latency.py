"""Measure the latency of several functions side by side, so that a busy machine slows all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

MAX_ROUNDS, MIN_ROUNDS, BUDGET_S = 100, 5, 6.0
FASTER = 0.97  # of the other's time; a smaller gain is noise and does not justify another file


@dataclass(frozen=True)
class Latency:
    """Time of one frame in milliseconds.

    Attributes:
        p50_ms: The median.
        best_ms: The shortest time, on which other processes have the least influence.
    """

    p50_ms: float
    best_ms: float

    def beats(self, other: Latency) -> bool:
        """Return whether both the median and the shortest time are lower by a clear margin; one alone may be chance."""
        return self.p50_ms < FASTER * other.p50_ms and self.best_ms < FASTER * other.best_ms


def interleaved(calls: Sequence[Callable[[], object]]) -> list[Latency]:
    """Time functions in rounds, each round in random order.

    A slow function stops after its share of the time; the fast ones go on to more rounds.
    """
    for call in calls:
        call()  # the first call allocates and compiles
    times: list[list[float]] = [[] for _ in calls]
    rng, share_ms = np.random.default_rng(0), 1e3 * BUDGET_S / len(calls)
    for turn in range(MAX_ROUNDS):
        running = [i for i, measured in enumerate(times) if turn < MIN_ROUNDS or sum(measured) < share_ms]
        for i in rng.permutation(running):  # threads of some libraries stay busy after a call and slow the next
            start = perf_counter()
            calls[i]()
            times[i].append(1e3 * (perf_counter() - start))
    return [Latency(float(np.median(measured)), min(measured)) for measured in times]
