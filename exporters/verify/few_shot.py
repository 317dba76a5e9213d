"""Few-shot accuracy of two embeddings of the same pictures over the same episodes, so that the difference is exact.

Episodes are drawn as in Prototypical Networks (arXiv:1703.05175) and scored by the nearest class mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.matching.prototypes import class_mean

N_WAY = 5
MAX_QUERY = 15
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Paired:
    """Accuracies in percent and half the widths of their 95 % intervals; `difference` is accuracy - reference."""

    n_way: int
    n_shot: int
    n_query: int
    n_episodes: int
    reference: float
    accuracy: float
    interval: float
    difference: float
    difference_interval: float


def paired_accuracy(
    reference: NDArray[np.float32],
    embeddings: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    metric: str,
    n_shot: int,
    n_episodes: int = 1000,
    seed: int = 0,
    mixed: bool = False,
) -> Paired | None:
    """Compare the few-shot accuracy of two embeddings of the same pictures.

    Args:
        reference: `float32 [N, D]`.
        embeddings: `float32 [N, D]`.
        labels: `int64 [N]`.
        metric: "cosine" or "euclidean".
        n_shot: Pictures per class; lowered if the classes are too small.
        n_episodes: Number of episodes.
        seed: Of the episodes.
        mixed: Whether prototypes are made from the reference: a gallery that one precision filled, asked in another.

    Returns:
        None if fewer than five classes have two pictures.
    """
    own = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    own = [rows for rows in own if len(rows) >= min(n_shot + 1, max(map(len, own)))]
    smallest = min(map(len, own))
    if len(own) < N_WAY or smallest < 2:
        return None
    n_shot = min(n_shot, smallest - 1)
    n_query = min(MAX_QUERY, smallest - n_shot)
    rng = np.random.default_rng(seed)
    shares = np.empty((n_episodes, 2))
    for episode in range(n_episodes):
        chosen = rng.choice(len(own), N_WAY, replace=False)
        rows = np.stack([rng.permutation(own[i])[: n_shot + n_query] for i in chosen])
        taught = reference if mixed else embeddings
        for side, (own_shots, asked) in enumerate(((reference, reference), (taught, embeddings))):
            shares[episode, side] = _share_right(own_shots, asked, rows[:, :n_shot], rows[:, n_shot:], metric)
    differences = 100 * (shares[:, 1] - shares[:, 0])
    return Paired(
        n_way=N_WAY,
        n_shot=n_shot,
        n_query=n_query,
        n_episodes=n_episodes,
        reference=float(100 * shares[:, 0].mean()),
        accuracy=float(100 * shares[:, 1].mean()),
        interval=_interval(100 * shares[:, 1]),
        difference=float(differences.mean()),
        difference_interval=_interval(differences),
    )


def neighbour_agreement(reference: NDArray[np.float32], embeddings: NDArray[np.float32], metric: str) -> float:
    """Return the share of pictures whose nearest other picture is the same in both embeddings `float32 [N, D]`."""
    first, second = (_nearest(z, metric) for z in (reference, embeddings))
    return float((first == second).mean())


def _share_right(
    taught: NDArray[np.float32], asked: NDArray[np.float32], support: Rows, query: Rows, metric: str
) -> float:
    prototypes = np.stack([class_mean(taught[rows], metric) for rows in support])
    scores = _scores(asked[query.ravel()], prototypes, metric)
    return float((scores.argmax(axis=1).reshape(query.shape) == np.arange(len(query))[:, None]).mean())


def _nearest(z: NDArray[np.float32], metric: str) -> Rows:
    scores = _scores(z, z, metric)
    np.fill_diagonal(scores, -np.inf)
    return np.asarray(scores.argmax(axis=1), np.int64)


def _scores(a: NDArray[np.float32], b: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    """Return higher scores for nearer rows: the cosine of unit vectors, or -|a - b|²/2 without its term |a|²."""
    scores = a @ b.T
    return np.asarray(scores if metric == "cosine" else scores - (b**2).sum(axis=1) / 2, np.float32)


def _interval(values: NDArray[np.float64]) -> float:
    return float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))
