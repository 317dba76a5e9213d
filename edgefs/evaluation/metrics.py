"""N-way K-shot accuracy with a 95 % interval, from embeddings computed once.

E: episodes.  W: n_way.  S: n_shot.  Q: n_query.  D: embedding size.

All episodes are drawn and scored in a few array operations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgefs.data.episodes import EpisodeSampler, EpisodeShape

EPISODES_AT_ONCE = 100  # bounds memory: 100 x 20-way x 15 queries x 512 floats = 60 MB


@dataclass(frozen=True)
class Accuracy:
    """The mean in percent; the true mean lies within ± `interval` of it with 95 % confidence over episodes."""

    mean: float
    interval: float
    n_way: int
    n_shot: int
    n_query: int
    n_episodes: int

    def __str__(self) -> str:
        return f"{self.n_way}-way {self.n_shot}-shot {self.mean:.2f} ± {self.interval:.2f} %"


def few_shot_accuracy(
    embeddings: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    n_way: int = 5,
    n_shot: int = 5,
    n_query: int = 15,
    n_episodes: int = 600,
    metric: str = "cosine",
    seed: int = 0,
) -> Accuracy:
    """Nearest-class-mean accuracy (Snell et al. 2017, arXiv:1703.05175).

    Args:
        embeddings: `float32 [N, D]`.
        labels: `int [N]`.
        metric: How a query is compared with the mean of a class's shots, "cosine" or "euclidean".

    Raises:
        DataError: There are too few classes, or too few images in one.
    """
    sampler, rng = EpisodeSampler(labels, EpisodeShape(n_way, n_shot, n_query)), np.random.default_rng(seed)
    hits = []
    for start in range(0, n_episodes, EPISODES_AT_ONCE):
        some = min(EPISODES_AT_ONCE, n_episodes - start)
        support, query = sampler.sample(some, rng)
        prototypes = embeddings[support].mean(axis=2)  # [E, W, D]
        queries = embeddings[query].reshape(some, n_way * n_query, -1)
        scores = queries @ prototypes.transpose(0, 2, 1)  # [E, W * Q, W]
        if metric == "cosine":
            scores /= np.linalg.norm(prototypes, axis=2)[:, None]
        else:  # |q - p|² without |q|², which is the same for every class
            scores -= (prototypes**2).sum(axis=2)[:, None] / 2
        right = scores.argmax(axis=2).reshape(some, n_way, n_query) == np.arange(n_way)[:, None]
        hits.append(right.mean(axis=(1, 2)))
    return Accuracy(*mean_and_interval(100 * np.concatenate(hits)), n_way, n_shot, n_query, n_episodes)


def mean_and_interval(values: ArrayLike) -> tuple[float, float]:
    """The mean of values `[N]`, and half the width of its 95 % interval: 1.96 standard errors, which assumes a large N.

    The interval of a single value is 0.
    """
    values = np.asarray(values, np.float64)
    spread = values.std(ddof=1) if len(values) > 1 else 0.0
    return float(values.mean()), float(1.96 * spread / np.sqrt(len(values)))


def wilson(right: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share, 0..1 (Wilson 1927); (0, 1) when `total` is 0."""
    if not total:
        return 0.0, 1.0
    z = 1.96
    share, spread = right / total, z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / total + spread / total / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def auroc(known: NDArray[np.float64], strange: NDArray[np.float64]) -> float:
    """The chance in percent that a known score is above a strange one; ties count half (Mann and Whitney 1947)."""
    values, inverse, counts = np.unique(np.concatenate([known, strange]), return_inverse=True, return_counts=True)
    del values
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    wins = ranks[: len(known)].sum() - len(known) * (len(known) + 1) / 2
    return float(100 * wins / (len(known) * len(strange)))


def head_features(
    embeddings: NDArray[np.float32], base_mean: NDArray[np.float32] | None
) -> dict[str, NDArray[np.float32]]:
    """The features that each SimpleShot head compares by Euclidean distance; CL2N needs a base mean `float32 [D]`."""
    heads = {"UN": embeddings, "L2N": _unit(embeddings)}
    if base_mean is not None:
        heads["CL2N"] = _unit(embeddings - base_mean)
    return heads


def _unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)  # type: ignore[no-any-return]
