"""Class prototypes (Snell et al. 2017, "Prototypical Networks for Few-shot Learning", arXiv:1703.05175), numpy only.

A prototype is the mean of a class's shots. A video gives many almost identical frames, so each shot is weighted by one
over the number of shots of its class that show the same view: a view counts once, however many frames show it. The
prototype is always computed from the shots themselves, so adding a shot and removing it again gives back the same bits.

D: embedding size.  C: classes.  n: shots of a class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from runtime.gallery import ClassShots
from runtime.matching import large
from runtime.matching.large import Index
from runtime.matching.order import Order, taken_over

EXACT = 16  # Euclidean scores that are computed without cancellation
SAME_VIEW = 0.8  # shots whose cosine is higher show the same view
MIN_BURSTS = 3  # of a class, before its bursts are left out in turn


@dataclass(frozen=True, eq=False)
class Prototype:
    """What is derived from one class alone.

    Attributes:
        shots: The class.
        mean: The prototype, `float32 [D]`, a unit vector for the cosine metric.
        n_views: How many clearly different views the shots show.
        left_out: The score of each burst against the prototype of the other bursts, `float64 [bursts]`; empty unless
            there are at least three bursts and each is a single picture. Bursts of a video are too much alike to tell.
    """

    shots: ClassShots
    mean: NDArray[np.float32]
    n_views: int
    left_out: NDArray[np.float64]


def prototype(shots: ClassShots, metric: str) -> Prototype:
    """Derive the prototype of a class."""
    weights = view_weights(shots.embeddings, metric)
    mean, n_views = class_mean(shots.embeddings, metric, weights), max(1, round(float(weights.sum())))
    return Prototype(shots, mean, n_views, left_out_scores(shots, metric))


def left_out_scores(shots: ClassShots, metric: str) -> NDArray[np.float64]:
    """Score each single picture against the others; see `Prototype.left_out`."""
    rows, n = shots.embeddings, len(shots.ids)
    if n < MIN_BURSTS or len(set(shots.bursts)) < n:
        return np.zeros(0)
    others = (rows.sum(axis=0) - rows) / (n - 1)
    if metric == "cosine":
        others /= np.maximum(np.linalg.norm(others, axis=1, keepdims=True), 1e-12)
    gram = pair_similarity(rows, rows, metric)
    np.fill_diagonal(gram, -np.inf)
    own = [similarity(row[None], other, metric)[0] for row, other in zip(rows, others, strict=True)]
    return np.asarray(joined(np.array(own), gram.max(axis=1)), np.float64)


def view_weights(embeddings: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    """One over the number of shots that show the same view, `float32 [n]`, for shots `float32 [n, D]`."""
    same = cosines(embeddings, metric) >= SAME_VIEW
    return np.asarray(1 / same.sum(axis=1), np.float32)


def cosines(embeddings: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    """The cosine of every pair, `float32 [n, n]`."""
    if metric != "cosine":
        embeddings = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    return np.asarray(embeddings @ embeddings.T)


def joined(prototype_score: NDArray[np.floating], shot_score: NDArray[np.floating]) -> NDArray[np.floating]:
    """The score of a class: half that of its prototype, half that of its nearest shot."""
    return 0.5 * (prototype_score + shot_score)


class Prototypes:
    """The prototypes of a gallery's classes.

    Attributes:
        metric: "cosine" or "euclidean".
        classes: The prototypes, in the order of the gallery.
        index: Of a large gallery, with the row of each of its keys; None for others, and where usearch is missing.
    """

    def __init__(
        self,
        metric: str,
        dim: int,
        classes: Sequence[Prototype] = (),
        index: tuple[Index, NDArray[np.int64]] | None = None,
    ) -> None:
        self.metric, self.dim, self.classes, self.index = metric, dim, tuple(classes), index

    @property
    def large(self) -> bool:
        """Whether there are so many classes that none is compared with all others."""
        return self.index is not None or len(self.classes) > large.LARGE

    @cached_property
    def order(self) -> Order:
        """The classes in order, as they were taught."""
        return Order([proto.shots for proto in self.classes])

    @cached_property
    def rows(self) -> Rows:
        """The means of all classes, ready to be scored."""
        return Rows(_means(self.classes, self.dim), self.metric)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How many shots, bursts and left-out scores each class has: `int64 [C, 3]`."""
        return _counts(self.classes)

    def update(self, classes: Mapping[str, ClassShots]) -> Prototypes:
        """Return the prototypes of these classes; only those of new or changed classes are computed."""
        shots = list(classes.values())
        order = Order(shots)
        before = order.rows_in(self.order)
        derived = [
            self.classes[row] if row >= 0 else prototype(one, self.metric)
            for row, one in zip(before.tolist(), shots, strict=True)
        ]
        index = self.index[0] if self.index else None
        if len(derived) > large.LARGE and index is None and large.usearch_index():
            index = Index(self.metric, self.dim)
        new = Prototypes(self.metric, self.dim, derived, (index, index.follow(derived, order)) if index else None)
        fresh = np.flatnonzero(before < 0)
        some = [derived[row] for row in fresh]
        new.order, new.counts = order, taken_over(self.counts, before)
        new.counts[fresh] = _counts(some)
        if "rows" in self.__dict__ and not (index and index.ready):
            matrix = taken_over(self.rows.matrix, before)
            matrix[fresh] = _means(some, self.dim)
            new.rows = Rows(matrix, self.metric)
        return new

    def candidates(self, embeddings: NDArray[np.float32]) -> NDArray[np.int64] | None:
        """The rows of the classes that may be the best for one of these embeddings, `float32 [N, D]`.

        Returns:
            `int64 [n]`, ascending; None if every class must be compared.
        """
        if self.index is None or not self.index[0].ready:
            return None
        index, row_of = self.index
        keys = index.search(embeddings)
        rows = row_of[keys[keys < len(row_of)]]  # a newer view of the gallery may have added others
        rows = rows[rows >= 0]
        return np.sort(rows) if len(rows) else None

    def near(self, embeddings: NDArray[np.float32]) -> NDArray[np.int64] | None:
        """`candidates`, but always a few rows of a large gallery, also while its index is made."""
        found = self.candidates(embeddings)
        if found is not None or not self.large:
            return found
        n = min(large.FOUND, len(self.classes))
        parts = [self.rows.scores_many(embeddings[at : at + EXACT]) for at in range(0, len(embeddings), EXACT)]
        return np.unique([np.argpartition(row, -n)[-n:] for part in parts for row in part])

    def scores(self, embedding: NDArray[np.float32], rows: NDArray[np.int64] | None) -> NDArray[np.float32]:
        """The score of one embedding `float32 [D]` for the prototypes in some rows, or in all: `float32 [n]`."""
        if rows is None:
            return self.rows.scores(embedding)
        return similarity(np.stack([self.classes[row].mean for row in rows]), embedding, self.metric)

    def scores_many(self, embeddings: NDArray[np.float32], rows: NDArray[np.int64] | None) -> NDArray[np.float32]:
        """`scores` for embeddings `float32 [N, D]`: `float32 [N, n]`."""
        if rows is None:
            return self.rows.scores_many(embeddings)
        return pair_similarity(embeddings, np.stack([self.classes[row].mean for row in rows]), self.metric)

    def class_scores(
        self, embeddings: NDArray[np.float32], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Score embeddings `float32 [N, D]` for the classes in some rows, or all: `float64 [N, n]`; see `joined`."""
        classes = self.classes if rows is None else [self.classes[row] for row in rows]
        n_shots = self.counts[:, 0] if rows is None else self.counts[rows, 0]
        shots = Rows(np.concatenate([proto.shots.embeddings for proto in classes]), self.metric)
        nearest = np.maximum.reduceat(shots.scores_many(embeddings), np.cumsum(n_shots) - n_shots, axis=1)
        return np.asarray(joined(self.scores_many(embeddings, rows), nearest), np.float64)


def _means(classes: Sequence[Prototype], dim: int) -> NDArray[np.float32]:
    """The prototypes of some classes: `float32 [n, D]`."""
    return np.array([proto.mean for proto in classes], np.float32).reshape(-1, dim)


def _counts(classes: Sequence[Prototype]) -> NDArray[np.int64]:
    """`Prototypes.counts` of some classes: `int64 [n, 3]`."""
    counts = [(len(proto.shots.ids), len(set(proto.shots.bursts)), len(proto.left_out)) for proto in classes]
    return np.array(counts, np.int64).reshape(-1, 3)


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
        # |r - e|² = |r|² - 2 r·e + |e|² needs one matrix product, but it cancels where r is near e. So everything is
        # measured from the centre, and the few nearest rows, which decide, are computed exactly.
        x = embedding - self._centre
        squared = self._squares - 2 * (self._centred @ x) + x @ x
        scores = -np.sqrt(np.maximum(squared, 0))
        nearest = np.argpartition(squared, EXACT)[:EXACT]
        scores[nearest] = similarity(self.matrix[nearest], embedding, self.metric)
        return np.asarray(scores, np.float32)

    def scores_many(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score embeddings `float32 [N, D]`: `float32 [N, R]`. Small distances are rounded more than in `scores`."""
        if self.metric == "cosine" or not len(self.matrix):
            return np.asarray(embeddings @ self.matrix.T)
        x = embeddings - self._centre
        squared = self._squares - 2 * (x @ self._centred.T) + np.einsum("nd,nd->n", x, x)[:, None]
        return np.asarray(-np.sqrt(np.maximum(squared, 0)), np.float32)


def pair_similarity(rows: NDArray[np.float32], others: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    """Score rows `float32 [N, D]` against others `float32 [M, D]`: `float32 [N, M]`."""
    return Rows(others, metric).scores_many(rows)


def class_mean(
    embeddings: NDArray[np.float32], metric: str, weights: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """The weighted mean `float32 [D]` of shots `float32 [n, D]`, a unit vector for the cosine metric."""
    weights = np.ones(len(embeddings), np.float32) if weights is None else weights
    mean = weights.astype(np.float64) @ embeddings.astype(np.float64) / weights.sum(dtype=np.float64)
    if metric == "cosine":
        mean /= max(float(np.linalg.norm(mean)), 1e-12)
    return np.asarray(mean, np.float32)


def similarity(references: NDArray[np.float32], embedding: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    """Score `float32 [D]` against rows `float32 [n, D]`: the cosine of unit vectors, or minus the distance."""
    if metric == "cosine":
        return references @ embedding
    return -np.linalg.norm(references - embedding, axis=1)  # type: ignore[no-any-return]
