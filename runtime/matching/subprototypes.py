"""Up to four sub-prototypes for a class with many views (in the spirit of Allen et al. 2019, "Infinite Mixture
Prototypes", arXiv:1902.04552): a box has a front and a back, and their mean looks like neither.

Deterministic: farthest-point seeding, then a few rounds of k-means. Pure, so undo is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.matching.prototypes import Rows, class_mean, similarity

MAX_PARTS = 4
SHOTS_PER_PART = 4
MIN_SHOTS = 2 * SHOTS_PER_PART  # from 8 varied shots on
ROUNDS = 4


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a class.  means: `float32 [P, D]`, one for few shots.  owner: `int [n]`, the part of each shot."""

    means: NDArray[np.float32]
    owner: NDArray[np.int64]


def parts_of(embeddings: NDArray[np.float32], metric: str) -> Parts:
    """Part the shots `float32 [n, D]` of a class."""
    n_parts = min(MAX_PARTS, len(embeddings) // SHOTS_PER_PART) if len(embeddings) >= MIN_SHOTS else 1
    means = class_mean(embeddings, metric)[None]
    owner = np.zeros(len(embeddings), np.int64)
    if n_parts == 1:
        return Parts(means, owner)
    seeds = [int(similarity(embeddings, means[0], metric).argmin())]
    scores = similarity(embeddings, embeddings[seeds[0]], metric)
    while len(seeds) < n_parts:
        seeds.append(int(scores.argmin()))
        scores = np.maximum(scores, similarity(embeddings, embeddings[seeds[-1]], metric))
    means = embeddings[seeds]
    for _ in range(ROUNDS):
        owner = Rows(means, metric).scores_many(embeddings).argmax(axis=1)
        member = np.equal.outer(np.arange(n_parts), owner).astype(np.float32)
        counts = member.sum(axis=1, keepdims=True)
        fresh = member @ embeddings / np.maximum(counts, 1)
        if metric == "cosine":
            fresh /= np.maximum(np.linalg.norm(fresh, axis=1, keepdims=True), 1e-12)
        means = np.where(counts > 0, fresh, means)
    return Parts(means, owner)
