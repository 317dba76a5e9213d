"""N-way K-shot accuracy with a 95 % interval, from embeddings computed once.

E: episodes.  W: n_way.  S: n_shot.  Q: n_query.  D: embedding size.

Every image is embedded once, not once per episode; all episodes are then drawn and scored in a few array operations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgefs.errors import DataError

EPISODES_AT_ONCE = 100  # bounds memory: 100 x 20-way x 15 queries x 512 floats = 60 MB


@dataclass(frozen=True)
class Accuracy:
    """mean, interval: in percent; the true mean lies within ± interval with 95 % confidence over episodes."""

    mean: float
    interval: float
    n_way: int
    n_shot: int
    n_query: int
    n_episodes: int

    def __str__(self) -> str:
        return f"{self.n_way}-way {self.n_shot}-shot {self.mean:.2f} ± {self.interval:.2f} %"


def sample_episodes(
    labels: NDArray[np.int64], *, n_way: int, n_shot: int, n_query: int, n_episodes: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw row indices without replacement: support `[E, W, S]` and query `[E, W, Q]`, class i of an episode in row i.

    labels: `int [N]`.  Raises DataError when there are too few classes or too few rows in one.
    """
    classes, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(classes) < n_way or counts.min() < n_shot + n_query:
        raise DataError(
            f"{n_way}-way {n_shot}-shot with {n_query} queries needs {n_way} classes of {n_shot + n_query} images, but "
            f"there are {len(classes)} classes, the smallest with {counts.min()} images; ask for less"
        )
    table = np.zeros((len(classes), counts.max()), np.int64)  # rows of each class, padded
    order = np.argsort(inverse, kind="stable")
    padded = np.arange(counts.max()) < counts[:, None]
    table[padded] = order
    chosen = np.argsort(rng.random((n_episodes, len(classes)), np.float32), axis=1)[:, :n_way]
    keys = rng.random((n_episodes, n_way, table.shape[1]), np.float32)
    keys[~padded[chosen]] = 2.0  # never drawn
    picks = np.argsort(keys, axis=2)[..., : n_shot + n_query]
    rows = np.take_along_axis(table[chosen], picks, axis=2)
    return rows[..., :n_shot], rows[..., n_shot:]


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
    """Nearest-class-mean accuracy (arXiv:1703.05175) of embeddings `float32 [N, D]` with labels `int [N]`.

    metric: "cosine" or "euclidean", between a query and the mean of a class's shots.
    """
    rng = np.random.default_rng(seed)
    hits = []
    for start in range(0, n_episodes, EPISODES_AT_ONCE):
        some = min(EPISODES_AT_ONCE, n_episodes - start)
        support, query = sample_episodes(labels, n_way=n_way, n_shot=n_shot, n_query=n_query, n_episodes=some, rng=rng)
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
    """The mean of values `[N]`, and half the width of its 95 % interval: 1.96 standard errors, so for large N.

    0 for a single value, of which nothing is known.
    """
    values = np.asarray(values, np.float64)
    spread = values.std(ddof=1) if len(values) > 1 else 0.0
    return float(values.mean()), float(1.96 * spread / np.sqrt(len(values)))


def wilson(right: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share, 0..1 (Wilson 1927). (0, 1) of nothing."""
    if not total:
        return 0.0, 1.0
    z = 1.96
    share, spread = right / total, z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / total + spread / total / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def head_features(
    embeddings: NDArray[np.float32], base_mean: NDArray[np.float32] | None
) -> dict[str, NDArray[np.float32]]:
    """The features each SimpleShot head compares by Euclidean distance; CL2N only with a base mean `float32 [D]`."""
    heads = {"UN": embeddings, "L2N": _unit(embeddings)}
    if base_mean is not None:
        heads["CL2N"] = _unit(embeddings - base_mean)
    return heads


def _unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)  # type: ignore[no-any-return]
