"""Up to four sub-prototypes for a class with many views (in the spirit of Allen et al. 2019, "Infinite Mixture
Prototypes", arXiv:1902.04552): a box has a front and a back, and their mean looks like neither.

Deterministic: farthest-point seeding, then a few rounds of k-means. Pure, so undo is exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.prototypes import Rows, class_mean, similarity

MAX_PARTS = 4
SHOTS_PER_PART = 4
MIN_SHOTS = 2 * SHOTS_PER_PART  # from 8 varied shots on
ROUNDS = 4


def sub_prototypes(embeddings: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    """Part the shots `float32 [n, D]` of a class; returns the parts' means `float32 [P, D]`, one for few shots."""
    means, _ = parts(embeddings, metric)
    return means


def parts(embeddings: NDArray[np.float32], metric: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The parts' means `float32 [P, D]` and the part of each shot `int [n]`."""
    n_parts = min(MAX_PARTS, len(embeddings) // SHOTS_PER_PART) if len(embeddings) >= MIN_SHOTS else 1
    means = class_mean(embeddings, metric)[None]
    owner = np.zeros(len(embeddings), np.int64)
    if n_parts == 1:
        return means, owner
    seeds = [int(similarity(embeddings, means[0], metric).argmin())]
    scores = similarity(embeddings, embeddings[seeds[0]], metric)
    while len(seeds) < n_parts:
        seeds.append(int(scores.argmin()))
        scores = np.maximum(scores, similarity(embeddings, embeddings[seeds[-1]], metric))
    means = embeddings[seeds]
    for _ in range(ROUNDS):
        owner = Rows(means, metric).scores_many(embeddings).argmax(axis=1)
        means = np.stack(
            [class_mean(embeddings[owner == i], metric) if (owner == i).any() else means[i] for i in range(n_parts)]
        )
    return means, owner
