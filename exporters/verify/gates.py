"""Is an artefact still the same recogniser? Held against torch float32 on real pictures, in the terms that matter.

Cosines say how far each embedding moved; neighbours and few-shot accuracy say whether anyone would notice. One-shot
counts as much as five: reduced precision costs most where shots are fewest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from exporters.verify.few_shot import Paired, neighbour_agreement, paired_accuracy
from runtime.engines import agreement

MIN_COSINE = {"fp32": 0.9999, "fp16": 0.999}  # int8 is judged by accuracy alone
MAX_LOSS = {"fp32": 0.5, "fp16": 0.5, "int8": 1.0}  # points of few-shot accuracy
SHOTS = (1, 5)
MAX_ROUNDS, MIN_ROUNDS, BUDGET_S = 100, 5, 6.0
FASTER = 0.97  # of the other's time: less of a gain is noise, and not worth another file


@dataclass(frozen=True)
class Measured:
    """What an artefact's embeddings are worth beside the reference's.  p1_cosine: only one in 100 is lower."""

    min_cosine: float
    p1_cosine: float
    neighbour_agreement: float
    accuracy: tuple[Paired, ...]

    @property
    def accuracy_difference(self) -> float | None:
        """The worst over the shot counts, in points; negative is a loss. None without classes."""
        return min((paired.difference for paired in self.accuracy), default=None)


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one frame: the median, and the best, which a busy machine disturbs least."""

    p50_ms: float
    best_ms: float

    def beats(self, other: Latency) -> bool:
        """Faster at the median and at its best; either alone may be luck."""
        return self.p50_ms < FASTER * other.p50_ms and self.best_ms < FASTER * other.best_ms


def measure(
    reference: NDArray[np.float32], embeddings: NDArray[np.float32], labels: NDArray[np.int64], metric: str
) -> Measured:
    """Compare embeddings `float32 [N, D]` of pictures with labels `int64 [N]`. Not finite counts as cosine -1."""
    if embeddings.shape != reference.shape or not np.isfinite(embeddings).all():
        return Measured(-1.0, -1.0, 0.0, ())
    cosines = agreement(embeddings, reference)
    pairs = (paired_accuracy(reference, embeddings, labels, metric=metric, n_shot=n) for n in SHOTS)
    return Measured(
        float(cosines.min()),
        float(np.percentile(cosines, 1)),
        neighbour_agreement(reference, embeddings, metric),
        tuple(pair for pair in pairs if pair is not None),
    )


def failed_gates(precision: str, measured: Measured) -> list[str]:
    """What is wrong with it, in words; empty when every gate is passed."""
    failed = []
    floor = MIN_COSINE.get(precision, 0.0)
    if not measured.min_cosine >= floor:
        failed.append(f"its lowest cosine to torch float32 must be at least {floor}, but is {measured.min_cosine:.5f}")
    if not measured.accuracy and precision != "fp32":
        failed.append("few-shot accuracy must be measured on five classes or more of two pictures, but there are fewer")
    failed += [
        f"{pair.n_way}-way {pair.n_shot}-shot accuracy must not lose more than {MAX_LOSS[precision]} points, but loses "
        f"{-pair.difference:.2f} ± {pair.difference_interval:.2f}"
        for pair in measured.accuracy
        if not -pair.difference <= MAX_LOSS[precision]
    ]
    return failed


def interleaved(calls: Sequence[Callable[[], object]]) -> list[Latency]:
    """Time calls, all in turn, so that a busy machine slows them alike.

    A slow call drops out once it has had its share of the time; the fast ones go on to more rounds.
    """
    for call in calls:
        call()  # the first one allocates and compiles
    times: list[list[float]] = [[] for _ in calls]
    rng, share_ms = np.random.default_rng(0), 1e3 * BUDGET_S / len(calls)
    for turn in range(MAX_ROUNDS):
        running = [i for i, had in enumerate(times) if turn < MIN_ROUNDS or sum(had) < share_ms]
        for i in rng.permutation(running):  # some libraries' threads spin on after a call and slow the next
            start = perf_counter()
            calls[i]()
            times[i].append(1e3 * (perf_counter() - start))
    return [Latency(float(np.median(had)), min(had)) for had in times]
