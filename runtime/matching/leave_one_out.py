"""Shots taken out in turn, and scored by what is left: which head is better, how well a class knows its own, and how a
stranger to it would do.

A shot goes together with its burst where its class has others: frames of one second would name each other. The LDA's
covariance forgets the shot too, exactly, by a rank-one downdate (Sherman and Morrison 1950): scored by a covariance
that knows them, shots fit their class far better than any new frame does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.matching.heads import Head
from runtime.matching.prototypes import Prototypes, class_mean, pair_scores, similarity

MAX_PROBES = 512  # shots taken out, the same number of each class


@dataclass(frozen=True, eq=False)
class Probes:
    """P shots that are taken out.  embeddings: `float32 [P, D]`.  own: class of each.  index: its row among those kept.

    left_out: `float32 [P, D]`, the mean of its class without it.  known: `bool [P]`, whether there is one: not for a
    class of one shot.
    """

    embeddings: NDArray[np.float32]
    own: NDArray[np.int64]
    index: NDArray[np.int64]
    left_out: NDArray[np.float32]
    known: NDArray[np.bool_]

    def of(self, chosen: NDArray[np.bool_]) -> Probes:
        """Some of them."""
        arrays = self.embeddings, self.own, self.index, self.left_out, self.known
        return Probes(*(array[chosen] for array in arrays))  # type: ignore[arg-type]


def probes_of(prototypes: Prototypes) -> Probes:
    """Choose the shots to take out, spread evenly over at least one class."""
    n_classes = len(prototypes.classes)
    each = max(1, MAX_PROBES // n_classes)
    embeddings, own, index, left_out = [], [], [], []
    for row in np.unique(np.linspace(0, n_classes - 1, min(n_classes, MAX_PROBES)).astype(int)):
        proto = prototypes.classes[row]
        chosen = np.unique(np.linspace(0, proto.n_kept - 1, min(each, proto.n_kept)).astype(int))
        rows = proto.kept_rows
        embeddings.append(rows[chosen])
        left_out.append(proto.left_out(prototypes.metric)[chosen] if proto.n_kept > 1 else rows)
        own += [row] * len(chosen)
        index += chosen.tolist()
    owners = np.array(own, np.int64)
    known = prototypes.counts[owners] > 1
    return Probes(np.concatenate(embeddings), owners, np.array(index, np.int64), np.concatenate(left_out), known)


def left_out_scores(head: Head, probes: Probes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Score probes by a head that has forgotten each: against everything else `float32 [P, C + B]`, with -inf for the
    class it comes from, and against what is left of that `float32 [P]`.
    """
    if head.white is not None:
        scores, own = _lda(head, probes)
    else:
        metric = head.prototypes.metric
        scores = head.scores_many(probes.embeddings)
        own = pair_scores(probes.embeddings, probes.left_out, metric)
        if head.parts is not None:
            _parts(head, probes, own)
    scores[np.arange(len(own)), probes.own] = -np.inf
    return scores, own


def hits(head: Head, probes: Probes) -> NDArray[np.bool_]:
    """Which probes a head names right without having seen them: `bool [P]`."""
    scores, own = left_out_scores(head, probes)
    return np.asarray(own > scores[:, : head.n_classes].max(axis=1))


def clearly_better(hits: NDArray[np.bool_], than: NDArray[np.bool_]) -> float:
    """By how many standard deviations one head names more probes than another (McNemar 1947); 0 when they agree."""
    won, lost = int((hits & ~than).sum()), int((than & ~hits).sum())
    return (won - lost) / math.sqrt(won + lost) if won + lost else 0.0


def _parts(head: Head, probes: Probes, own: NDArray[np.float32]) -> None:
    """The part a probe belongs to forgets it."""
    assert head.parts
    metric = head.prototypes.metric
    for p, (row, at) in enumerate(zip(probes.own, probes.index, strict=True)):
        parts = head.parts[row]
        if len(parts.means) > 1:
            rows, means = head.prototypes.classes[row].kept_rows, parts.means.copy()
            others = (parts.owner == parts.owner[at]) & (np.arange(len(rows)) != at)
            means[parts.owner[at]] = class_mean(rows[others], metric) if others.any() else probes.left_out[p]
            own[p] = 0.5 * own[p] + 0.5 * similarity(means, probes.embeddings[p], metric).max()


def _lda(head: Head, probes: Probes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """With the precision downdated along each probe's residual r, x · y becomes x · y + gain (x · r) (y · r)."""
    assert head.white is not None
    prototypes = head.prototypes
    means = {row: prototypes.classes[row].kept_rows.mean(axis=0) for row in np.unique(probes.own)}
    residuals = probes.embeddings - np.stack([means[row] for row in probes.own])
    x, out, r = (rows @ head.white.T for rows in (probes.embeddings, probes.left_out, residuals))
    counts = prototypes.counts[probes.own]
    g = head.residual_weight * counts / np.maximum(counts - 1, 1)
    gain = (g / np.maximum(1 - g * np.einsum("pd,pd->p", r, r), 1e-3)).astype(np.float32)
    rows = head.rows.matrix
    xr, ro, rm = np.einsum("pd,pd->p", x, r), np.einsum("pd,pd->p", r, out), r @ rows.T
    if prototypes.metric == "cosine":
        norm_x = np.sqrt(np.einsum("pd,pd->p", x, x) + gain * xr**2)
        scores = x @ rows.T + (gain * xr)[:, None] * rm
        norm_m = np.sqrt(np.einsum("cd,cd->c", rows, rows) + gain[:, None] * rm**2)
        scores /= norm_x[:, None] * np.maximum(norm_m, 1e-12)
        own = np.einsum("pd,pd->p", x, out) + gain * xr * ro
        return scores, own / (norm_x * np.sqrt(np.einsum("pd,pd->p", out, out) + gain * ro**2))
    squares = head.rows.scores_many(x) ** 2
    scores = -np.sqrt(np.maximum(squares + gain[:, None] * (xr[:, None] - rm) ** 2, 0))
    own = -np.sqrt(np.maximum(np.einsum("pd,pd->p", x - out, x - out) + gain * (xr - ro) ** 2, 0))
    return scores, own
