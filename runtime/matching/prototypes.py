"""Nearest class mean (Snell et al. 2017, "Prototypical Networks for Few-shot Learning", arXiv:1703.05175), numpy only.

D: embedding size.  C: classes.  n: shots of a class.

A prototype is the mean of a class's shots in the bundle's metric, weighted by their quality, without those that
disagree with the class. It is always computed from the shots themselves, never updated in place, so adding a shot and
taking it away again gives back the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from runtime.gallery import ClassShots
from runtime.matching.outliers import disagreeing

EXACT = 16  # rows whose Euclidean scores are always exact
MIN_WEIGHT = 0.25  # of a shot in its mean: enrolment refuses what is blurred beyond that


@dataclass(frozen=True, eq=False)
class Prototype:
    """What is derived from one class alone.

    mean: `float32 [D]`.  kept: `bool [n]`, the shots that are averaged in; so many (n_kept) of so many bursts.
    spread: mean squared distance of those to their mean.  agreement: mean score of a kept shot against the mean of the
    others, other bursts where there are any; nan for a single one.
    """

    shots: ClassShots
    mean: NDArray[np.float32]
    kept: NDArray[np.bool_]
    n_kept: int
    n_bursts: int
    spread: float
    agreement: float

    @property
    def kept_rows(self) -> NDArray[np.float32]:
        """The embeddings that are averaged in, `float32 [n_kept, D]`."""
        return self.shots.embeddings[self.kept]

    def left_out(self, metric: str) -> NDArray[np.float32]:
        """For each kept shot the mean of the others, `float32 [n_kept, D]`; see `left_out_means`."""
        bursts = [burst for burst, keep in zip(self.shots.bursts, self.kept, strict=True) if keep]
        return left_out_means(self.kept_rows, np.maximum(self.shots.qualities[self.kept], MIN_WEIGHT), bursts, metric)

    @property
    def set_aside(self) -> tuple[int, ...]:
        """Ids of the shots that disagree."""
        return tuple(int(shot_id) for shot_id in self.shots.ids[~self.kept])


def prototype(shots: ClassShots, metric: str) -> Prototype:
    """Derive the prototype of a class."""
    kept = ~disagreeing(shots.embeddings, metric) | np.isin(shots.ids, list(shots.confirmed))
    rows = shots.embeddings[kept]
    weights = np.maximum(shots.qualities[kept], MIN_WEIGHT)
    spread = float(rows.var(axis=0, dtype=np.float64).sum())
    bursts = [burst for burst, keep in zip(shots.bursts, kept, strict=True) if keep]
    agreement = float("nan")
    if len(rows) > 1:
        agreement = float(pair_scores(rows, left_out_means(rows, weights, bursts, metric), metric).mean())
    mean = class_mean(rows, metric, weights)
    return Prototype(shots, mean, kept, len(rows), len(set(bursts)), spread, agreement)


def left_out_means(
    rows: NDArray[np.float32], weights: NDArray[np.float32], bursts: Sequence[str], metric: str
) -> NDArray[np.float32]:
    """For each of a class's shots `float32 [n, D]`, n >= 2, the mean of the others: `float32 [n, D]`.

    With several bursts, of other bursts: frames of one second resemble each other too much.
    """
    names = list(dict.fromkeys(bursts)) if len(set(bursts)) > 1 else []
    owner = np.array([names.index(burst) for burst in bursts] if names else range(len(rows)))
    out = np.equal.outer(owner, owner).astype(np.float32) * weights  # what each shot's mean must forget
    means = (weights @ rows - out @ rows) / (weights.sum() - out.sum(axis=1))[:, None]
    if metric == "cosine":
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return np.asarray(means, np.float32)


def pair_scores(rows: NDArray[np.float32], others: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    """The score of each row `float32 [n, D]` against its own other: `float32 [n]`."""
    if metric == "cosine":
        return np.asarray(np.einsum("nd,nd->n", rows, others), np.float32)
    return np.asarray(-np.linalg.norm(rows - others, axis=1), np.float32)


class Prototypes:
    """The prototypes of a gallery's classes; `update` computes only those that changed.

    classes: C of them, in the gallery's order.  matrix: `float32 [C, D]`, their means.
    counts, bursts, spreads, agreements: `float64 [C]`, of each class what `Prototype` says.
    """

    def __init__(self, metric: str, dim: int) -> None:
        self.metric, self.dim = metric, dim
        self.classes: tuple[Prototype, ...] = ()
        self.matrix = np.zeros((0, dim), np.float32)
        self._facts = np.zeros((0, 4))

    @property
    def counts(self) -> NDArray[np.float64]:
        return self._facts[:, 0]

    @property
    def bursts(self) -> NDArray[np.float64]:
        return self._facts[:, 1]

    @property
    def spreads(self) -> NDArray[np.float64]:
        return self._facts[:, 2]

    @property
    def agreements(self) -> NDArray[np.float64]:
        return self._facts[:, 3]

    def update(self, classes: Mapping[str, ClassShots]) -> Prototypes:
        """Return the prototypes of these classes, reusing that of every class object that is still the same."""
        known = {id(proto.shots): proto for proto in self.classes}
        return self.replaced([known.get(id(shots)) or prototype(shots, self.metric) for shots in classes.values()])

    def replaced(self, classes: Sequence[Prototype]) -> Prototypes:
        """The same for prototypes that are there already."""
        new = Prototypes(self.metric, self.dim)
        new.classes = tuple(classes)
        source = sources(self.classes, classes)
        new.matrix = carried(self.matrix, source, classes, lambda some: np.stack([p.mean for p in some]))
        new._facts = carried(self._facts, source, classes, _facts)
        return new


Row = TypeVar("Row", bound=np.generic)


def sources(before: Sequence[Prototype], now: Sequence[Prototype]) -> NDArray[np.int64]:
    """The row each class of now had before, `int [C]`; -1 for one that is new or changed."""
    row_of = {id(proto): row for row, proto in enumerate(before)}
    return np.array([row_of.get(id(proto), -1) for proto in now], np.int64)


def carried(
    rows: NDArray[Row],
    source: NDArray[np.int64],
    classes: Sequence[Prototype],
    derive: Callable[[list[Prototype]], NDArray[Row]],
) -> NDArray[Row]:
    """One row for each class: the one it had before, of `rows`, or derived from it."""
    fresh = np.flatnonzero(source < 0)
    new = rows[source] if len(rows) else np.zeros((len(classes), *rows.shape[1:]), rows.dtype)
    if len(fresh):
        new[fresh] = derive([classes[int(i)] for i in fresh])
    return new


def _facts(classes: list[Prototype]) -> NDArray[np.float64]:
    return np.array([(p.n_kept, p.n_bursts, p.spread, p.agreement) for p in classes])


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
    weights = np.ones(len(embeddings), np.float32) if weights is None else weights
    mean = weights.astype(np.float64) @ embeddings.astype(np.float64) / weights.sum(dtype=np.float64)
    if metric == "cosine":
        mean /= max(float(np.linalg.norm(mean)), 1e-12)
    return np.asarray(mean, np.float32)


def similarity(references: NDArray[np.float32], embedding: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    """Score `float32 [D]` against rows `float32 [n, D]`: cosine (inputs are unit vectors) or minus the distance."""
    if metric == "cosine":
        return references @ embedding
    return -np.linalg.norm(references - embedding, axis=1)  # type: ignore[no-any-return]
