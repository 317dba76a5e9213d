"""N-way K-shot accuracy with a 95 % interval, from embeddings computed once.

E: episodes.  W: n_way.  S: n_shot.  Q: n_query.  D: embedding size.

Every image is embedded once, not once per episode; all episodes are then drawn and scored in a few array operations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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

    labels: `int [N]`.  Raises ValueError when there are too few classes or too few rows in one.
    """
    classes, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(classes) < n_way or counts.min() < n_shot + n_query:
        raise ValueError(
            f"{n_way}-way {n_shot}-shot with {n_query} queries needs {n_way} classes of {n_shot + n_query} images, but there "
            f"are {len(classes)} classes, the smallest with {counts.min()} images; ask for less"
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
    """Nearest-class-mean accuracy (arXiv:1703.05175) of embeddings `float32 [N, D]` with labels `int [N]`."""
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
    accuracies = 100 * np.concatenate(hits)
    interval = 1.96 * accuracies.std(ddof=1) / np.sqrt(n_episodes)
    return Accuracy(float(accuracies.mean()), float(interval), n_way, n_shot, n_query, n_episodes)
