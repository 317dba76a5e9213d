"""Measure the latency of several functions side by side, so that a busy machine slows all of them alike.

Two functions are compared round by round, and the median of the ratios has an interval. A difference that a busy
machine could cause is "too close to tell".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

MAX_ROUNDS, MIN_ROUNDS, BUDGET_S = 100, 7, 6.0
CLEAR = 1.03  # a smaller difference in speed does not justify another file, nor the loss of one
Z = 1.96  # of a 95 % interval
FASTER, CLOSE, SLOWER = "faster", "too close to tell", "slower"


@dataclass(frozen=True)
class Latency:
    """Time of one frame in milliseconds, of every round. Functions that were timed together share their rounds."""

    rounds_ms: tuple[float, ...]

    @property
    def p50_ms(self) -> float:
        """The median."""
        return float(np.median(self.rounds_ms))

    def speed_of(self, other: Latency) -> Speed:
        """Return how many times the speed of another function this one has, compared round by round."""
        rounds = min(len(self.rounds_ms), len(other.rounds_ms))
        ratios = np.sort(np.divide(other.rounds_ms[:rounds], self.rounds_ms[:rounds]))
        margin = Z * np.sqrt(rounds) / 2  # ranks of a sign test: no distribution of the times is assumed
        low, high = int(max(0, np.floor(rounds / 2 - margin))), int(min(rounds - 1, np.ceil(rounds / 2 + margin)))
        return Speed(float(np.median(ratios)), float(ratios[low]), float(ratios[high]))


@dataclass(frozen=True)
class Speed:
    """How many times as fast one function is as another: the median over the rounds, and its 95 % interval."""

    ratio: float
    low: float
    high: float

    @property
    def result(self) -> str:
        """FASTER or SLOWER if the whole interval is, by a margin; otherwise CLOSE."""
        if self.low > CLEAR:
            return FASTER
        return SLOWER if self.high < 1 / CLEAR else CLOSE

    def __str__(self) -> str:
        return f"{self.ratio:.2f} times ({self.low:.2f} to {self.high:.2f})"


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
    return [Latency(tuple(measured)) for measured in times]
