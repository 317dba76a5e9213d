"""Which head is better for this gallery: every shot is taken out in turn and must be named by the rest.

A shot goes together with its burst where its class has others: frames of one second would name each other. The LDA's
covariance forgets the shot too, exactly, by a rank-one downdate (Sherman and Morrison 1950).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.prototypes import MIN_WEIGHT, Prototype, Prototypes, Rows, class_mean, similarity
from runtime.subprototypes import Parts

MAX_PROBES = 256  # shots taken out, spread evenly over the gallery
EVIDENCE = 2.0  # standard deviations (McNemar 1947) by which another head must beat the plain mean


@dataclass(frozen=True, eq=False)
class Probes:
    """P shots that are taken out.  embeddings: `float32 [P, D]`.  own: class of each.  index: its row in the class.

    left_out: `float32 [P, D]`, the mean of the class without it.
    """

    embeddings: NDArray[np.float32]
    own: NDArray[np.int64]
    index: NDArray[np.int64]
    left_out: NDArray[np.float32]


def probes_of(prototypes: Prototypes, limit: int = MAX_PROBES) -> Probes:
    """Choose the shots to take out: of classes that still have one without it."""
    every = [(row, i) for row, proto in enumerate(prototypes.classes) if proto.n_kept > 1 for i in _kept(proto)]
    chosen = [every[j] for j in np.linspace(0, len(every) - 1, min(limit, len(every))).astype(int)]
    embeddings, left_out = [], []
    for row, i in chosen:
        shots, kept = prototypes.classes[row].shots, prototypes.classes[row].kept.copy()
        embeddings.append(shots.embeddings[i])
        others = kept & np.array([burst != shots.bursts[i] for burst in shots.bursts])
        kept[i] = False
        kept = others if others.any() else kept
        weights = np.maximum(shots.qualities[kept], MIN_WEIGHT)
        left_out.append(class_mean(shots.embeddings[kept], prototypes.metric, weights))
    empty = np.zeros((0, prototypes.dim), np.float32)
    return Probes(
        np.array(embeddings, np.float32).reshape(-1, prototypes.dim) if chosen else empty,
        np.array([row for row, _ in chosen], np.int64),
        np.array([i for _, i in chosen], np.int64),
        np.array(left_out, np.float32).reshape(-1, prototypes.dim) if chosen else empty,
    )


def mean_hits(prototypes: Prototypes, probes: Probes) -> NDArray[np.bool_]:
    """Which probes nearest class mean names right without having seen them: `bool [P]`."""
    scores = _plain(probes.embeddings, prototypes.matrix, prototypes.metric)
    return _hits(scores, _pairs(probes.embeddings, probes.left_out, prototypes.metric), probes.own)


def part_hits(prototypes: Prototypes, probes: Probes, all_parts: Sequence[Parts]) -> NDArray[np.bool_]:
    """The same for sub-prototypes; the part a probe belongs to forgets it."""
    metric = prototypes.metric
    scores = _plain(probes.embeddings, prototypes.matrix, metric)
    parted = [row for row, parts in enumerate(all_parts) if len(parts.means) > 1]
    if parted:
        first = np.cumsum([0, *(len(all_parts[row].means) for row in parted[:-1])])
        to_parts = _plain(probes.embeddings, np.concatenate([all_parts[row].means for row in parted]), metric)
        scores[:, parted] = 0.5 * scores[:, parted] + 0.5 * np.maximum.reduceat(to_parts, first, axis=1)
    own = _pairs(probes.embeddings, probes.left_out, metric)
    for p, (row, i) in enumerate(zip(probes.own, probes.index, strict=True)):
        parts, proto = all_parts[row], prototypes.classes[row]
        if len(parts.means) > 1:
            rows, means, at = proto.kept_rows, parts.means.copy(), int(proto.kept[:i].sum())
            others = (parts.owner == parts.owner[at]) & (np.arange(len(rows)) != at)
            means[parts.owner[at]] = class_mean(rows[others], metric) if others.any() else probes.left_out[p]
            own[p] = 0.5 * own[p] + 0.5 * similarity(means, probes.embeddings[p], metric).max()
    return _hits(scores, own, probes.own)


def lda_hits(prototypes: Prototypes, probes: Probes, white: NDArray[np.float32], shrunk_by: float) -> NDArray[np.bool_]:
    """The same for LDA. shrunk_by: the factor of a residual's outer product in the shrunk covariance."""
    metric = prototypes.metric
    x, m, out = (rows @ white.T for rows in (probes.embeddings, prototypes.matrix, probes.left_out))
    means = {row: _plain_mean(prototypes.classes[row]) for row in np.unique(probes.own)}
    counts = prototypes.counts[probes.own]
    r = (probes.embeddings - np.stack([means[row] for row in probes.own])) @ white.T
    g = shrunk_by * counts / np.maximum(counts - 1, 1)
    gain = g / np.maximum(1 - g * np.einsum("pd,pd->p", r, r), 1e-3)  # of the downdated precision, along r
    xr = np.einsum("pd,pd->p", x, r)
    rm, ro = r @ m.T, np.einsum("pd,pd->p", r, out)
    if metric == "cosine":
        norm_x = np.sqrt(np.einsum("pd,pd->p", x, x) + gain * xr**2)
        scores = x @ m.T + (gain * xr)[:, None] * rm
        scores /= norm_x[:, None] * np.sqrt(np.einsum("cd,cd->c", m, m) + gain[:, None] * rm**2)
        own = np.einsum("pd,pd->p", x, out) + gain * xr * ro
        own /= norm_x * np.sqrt(np.einsum("pd,pd->p", out, out) + gain * ro**2)
    else:
        scores = -(_plain(x, m, metric) ** 2 + gain[:, None] * (xr[:, None] - rm) ** 2)
        own = -(np.einsum("pd,pd->p", x - out, x - out) + gain * (xr - ro) ** 2)
    return _hits(scores, own, probes.own)


def clearly_better(hits: NDArray[np.bool_], than: NDArray[np.bool_]) -> float:
    """By how many standard deviations one head names more probes than another (McNemar); 0 when they agree."""
    won, lost = int((hits & ~than).sum()), int((than & ~hits).sum())
    return (won - lost) / math.sqrt(won + lost) if won + lost else 0.0


def _kept(proto: Prototype) -> list[int]:
    return np.flatnonzero(proto.kept).tolist()  # type: ignore[no-any-return]


def _plain_mean(proto: Prototype) -> NDArray[np.float32]:
    return np.asarray(proto.kept_rows.mean(axis=0))


def _hits(scores: NDArray[np.float32], own_score: NDArray[np.float32], own: NDArray[np.int64]) -> NDArray[np.bool_]:
    scores[np.arange(len(own)), own] = -np.inf
    return np.asarray(own_score > scores.max(axis=1))


def _plain(x: NDArray[np.float32], rows: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    return Rows(rows, metric).scores_many(x)


def _pairs(x: NDArray[np.float32], y: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    if metric == "cosine":
        return np.asarray(np.einsum("pd,pd->p", x, y))
    return np.asarray(-np.linalg.norm(x - y, axis=1))
