"""Measure how far the embeddings of an artifact differ from the reference, and compare that with fixed limits.

Cosines state how far each embedding moved. Nearest neighbours and few-shot accuracy state whether recognition changes.
One-shot accuracy counts as much as five-shot, because reduced precision costs most where shots are fewest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporters.verify.few_shot import Paired, neighbour_agreement, paired_accuracy
from runtime.engines import agreement

MIN_COSINE = {"fp32": 0.9999, "fp16": 0.999}  # int8 has a limit on accuracy only
MAX_LOSS = {"fp32": 0.5, "fp16": 0.5, "int8": 1.0}  # percentage points of few-shot accuracy
SHOTS = (1, 5)
MIXED = "taught in fp32 and asked in this precision, "  # the same fingerprint, so that a gallery may be used by both


@dataclass(frozen=True)
class Measured:
    """How far an artifact's embeddings differ from the reference.

    Attributes:
        min_cosine: The lowest cosine over all pictures.
        p1_cosine: The first percentile of the cosines.
        neighbour_agreement: Share of pictures whose nearest other picture stays the same.
        accuracy: Few-shot accuracy for each shot count; empty without classes.
        mixed: The same, taught in the reference and asked in the artifact: they share galleries.
    """

    min_cosine: float
    p1_cosine: float
    neighbour_agreement: float
    accuracy: tuple[Paired, ...]
    mixed: tuple[Paired, ...] = ()

    @property
    def accuracy_difference(self) -> float | None:
        """The lowest difference over the shot counts, in points; negative is a loss. None without classes."""
        return min((paired.difference for paired in (*self.accuracy, *self.mixed)), default=None)


def measure(
    reference: NDArray[np.float32], embeddings: NDArray[np.float32], labels: NDArray[np.int64], metric: str
) -> Measured:
    """Compare embeddings `float32 [N, D]` of pictures with labels `int64 [N]`. Non-finite numbers mean cosine -1."""
    if embeddings.shape != reference.shape or not np.isfinite(embeddings).all():
        return Measured(-1.0, -1.0, 0.0, ())
    cosines = agreement(embeddings, reference)
    accuracy, mixed = (
        [paired_accuracy(reference, embeddings, labels, metric=metric, n_shot=n, mixed=both) for n in SHOTS]
        for both in (False, True)
    )
    return Measured(
        float(cosines.min()),
        float(np.percentile(cosines, 1)),
        neighbour_agreement(reference, embeddings, metric),
        tuple(pair for pair in accuracy if pair is not None),
        tuple(pair for pair in mixed if pair is not None),
    )


def failed_gates(precision: str, measured: Measured) -> list[str]:
    """Return one sentence for every limit that is not met; empty if all are met."""
    failed = []
    floor = MIN_COSINE.get(precision, 0.0)
    if not measured.min_cosine >= floor:
        failed.append(f"its lowest cosine to torch float32 must be at least {floor}, but is {measured.min_cosine:.5f}")
    if not measured.accuracy and precision != "fp32":
        failed.append("few-shot accuracy must be measured on five classes or more of two pictures, but there are fewer")
    failed += [
        f"{how}{pair.n_way}-way {pair.n_shot}-shot accuracy must not lose more than {MAX_LOSS[precision]} points, but "
        f"loses {-pair.difference:.2f} ± {pair.difference_interval:.2f}"
        for how, pairs in (("", measured.accuracy), (MIXED, measured.mixed))
        for pair in pairs
        if not -pair.difference <= MAX_LOSS[precision]
    ]
    return failed
