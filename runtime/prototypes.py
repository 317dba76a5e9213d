"""Nearest class mean (Snell et al. 2017, "Prototypical Networks for Few-shot Learning", arXiv:1703.05175), numpy only.

D: embedding size.  C: classes.  n: shots of a class.

A prototype is the mean of a class's shots in the bundle's metric, weighted by their quality, without those that
disagree with the class. It is always computed from the shots themselves, never updated in place, so adding a shot and
taking it away again gives back the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.gallery import ClassShots
from runtime.set_aside import disagreeing

EXACT = 16  # rows whose Euclidean scores are always exact
MIN_WEIGHT = 0.25  # of a shot in its mean: enrolment refuses what is blurred beyond that


@dataclass(frozen=True, eq=False)
class Prototype:
    """What is derived from one class alone.

    mean: `float32 [D]`.  kept: `bool [n]`, the shots that are averaged in.  spread: mean squared distance of those to
    their mean.  agreement: mean score of a kept shot against the mean of the others, other bursts where there are any;
    nan for a single one.
    """

    shots: ClassShots
    mean: NDArray[np.float32]
    kept: NDArray[np.bool_]
    spread: float
    agreement: float

    @property
    def set_aside(self) -> tuple[int, ...]:
        """Ids of the shots that disagree."""
        return tuple(int(shot_id) for shot_id in self.shots.ids[~self.kept])


def prototype(shots: ClassShots, metric: str) -> Prototype:
    """Derive the prototype of a class."""
    kept = ~disagreeing(shots.embeddings, metric)
    rows = shots.embeddings[kept]
    weights = np.maximum(shots.qualities[kept], MIN_WEIGHT)
    spread = float(rows.var(axis=0, dtype=np.float64).sum())
    bursts = [burst for burst, keep in zip(shots.bursts, kept, strict=True) if keep]
    agreement = float(left_out_scores(rows, weights, bursts, metric).mean()) if len(rows) > 1 else float("nan")
    return Prototype(shots, class_mean(rows, metric, weights), kept, spread, agreement)


def left_out_scores(
    rows: NDArray[np.float32], weights: NDArray[np.float32], bursts: list[str], metric: str
) -> NDArray[np.float32]:
    """Score each of a class's shots `float32 [n, D]`, n >= 2, against the mean of the others: `float32 [n]`.

    With several bursts, against those of other bursts: frames of one second resemble each other too much.
    """
    weighted = rows * weights[:, None]
    totals, weight = np.tile(weighted.sum(axis=0), (len(rows), 1)), np.full(len(rows), weights.sum())
    if len(set(bursts)) > 1:
        names = np.unique(bursts, return_inverse=True)[1]
        out = names[:, None] == np.unique(names)[None, :]
        totals -= (out.T @ weighted)[names]
        weight -= (out.T @ weights)[names]
    else:
        totals -= weighted
        weight -= weights
    means = totals / weight[:, None]
    if metric == "cosine":
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        return np.asarray(np.einsum("nd,nd->n", rows, means), np.float32)
    return np.asarray(-np.linalg.norm(rows - means, axis=1), np.float32)


class Prototypes:
    """The prototypes of a gallery's classes; `update` computes only those that changed.

    classes: C of them, in the gallery's order.  matrix: `float32 [C, D]`.
    """

    def __init__(self, metric: str, dim: int) -> None:
        self.metric, self.dim = metric, dim
        self.classes: tuple[Prototype, ...] = ()
        self.matrix = np.zeros((0, dim), np.float32)

    def update(self, classes: Mapping[str, ClassShots]) -> Prototypes:
        """Return the prototypes of these classes, reusing that of every class object that is still the same."""
        known = {id(proto.shots): proto for proto in self.classes}
        return self.replaced([known.get(id(shots)) or prototype(shots, self.metric) for shots in classes.values()])

    def replaced(self, classes: Sequence[Prototype]) -> Prototypes:
        """The same for prototypes that are there already."""
        new = Prototypes(self.metric, self.dim)
        new.classes = tuple(classes)
        if new.classes:
            new.matrix = np.stack([proto.mean for proto in new.classes])
        return new


class Rows:
    """Many reference vectors `float32 [R, D]`, scored at once against one or more embeddings."""

    def __init__(self, matrix: NDArray[np.float32], metric: str) -> None:
        self.matrix, self.metric = np.ascontiguousarray(matrix, np.float32), metric
        if metric != "cosine" and len(matrix):
            self._centre = self.matrix.mean(axis=0)
            self._centred = self.matrix - self._centre
            self._squares = np.einsum("rd,rd->r", self._centred, self._centred)

    def scores(self, embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score one embedding `float32 [D]` against every row: `float32 [R]`."""
        if self.metric == "cosine":
            return self.matrix @ embedding
        if len(self.matrix) <= EXACT:
            return similarity(self.matrix, embedding, self.metric)
        # |r - e|² as |r|² - 2 r·e + |e|² is one matrix product, 20 times faster than R x D differences, but it cancels
        # where r is near e. So all is taken around the centre, and the nearest few, which decide, are computed exactly.
        x = embedding - self._centre
        squared = self._squares - 2 * (self._centred @ x) + x @ x
        scores = -np.sqrt(np.maximum(squared, 0))
        nearest = np.argpartition(squared, EXACT)[:EXACT]
        scores[nearest] = similarity(self.matrix[nearest], embedding, self.metric)
        return np.asarray(scores, np.float32)

    def scores_many(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score embeddings `float32 [N, D]`: `float32 [N, R]`; near distances are rounded more than in `scores`."""
        if self.metric == "cosine" or not len(self.matrix):
            return np.asarray(embeddings @ self.matrix.T)
        x = embeddings - self._centre
        squared = self._squares - 2 * (x @ self._centred.T) + np.einsum("nd,nd->n", x, x)[:, None]
        return np.asarray(-np.sqrt(np.maximum(squared, 0)), np.float32)


def class_mean(
    embeddings: NDArray[np.float32], metric: str, weights: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """The prototype `float32 [D]` of shots `float32 [n, D]`: their mean, on the unit sphere for "cosine"."""
    mean = np.average(embeddings.astype(np.float64), axis=0, weights=weights)
    if metric == "cosine":
        mean /= max(float(np.linalg.norm(mean)), 1e-12)
    return np.asarray(mean, np.float32)


def similarity(references: NDArray[np.float32], embedding: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    """Score `float32 [D]` against rows `float32 [n, D]`: cosine (inputs are unit vectors) or minus the distance."""
    if metric == "cosine":
        return references @ embedding
    return -np.linalg.norm(references - embedding, axis=1)  # type: ignore[no-any-return]
