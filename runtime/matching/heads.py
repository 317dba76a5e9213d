"""How a class is scored: by its mean, by the best of its parts, or by its mean in a space whitened by what varies
within classes (LDA). Which of them is decided in `runtime/matching/head_choice.py`.

Scores of the background, the bundle's base classes, come from the same head, so they can compete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from runtime.matching.lda import whiten
from runtime.matching.prototypes import Prototype, Prototypes, Rows, carried, similarity, sources
from runtime.matching.subprototypes import Parts, parts_of

HEADS = ("mean", "subprototypes", "lda")
BLOCK = 16  # rows that are whitened at once
REFINED = 16  # classes, the best by their means, whose parts are looked at: 1,000 classes cost the same


@dataclass(frozen=True, eq=False)
class Head:
    """Scores embeddings against C classes and B background rows.

    name: one of HEADS.  rows: a row for each class, as the head sees it, and `background` likewise.
    white: `float32 [D, D]` of the LDA; residual_weight: of one shot in the covariance it undoes.
    parts: of each class, for sub-prototypes.
    """

    name: str
    prototypes: Prototypes
    rows: Rows
    white: NDArray[np.float32] | None = None
    residual_weight: float = 0.0
    parts: tuple[Parts, ...] | None = None

    @property
    def n_classes(self) -> int:
        return len(self.prototypes.classes)

    def following(self, prototypes: Prototypes) -> Head:
        """The same head for a gallery that changed: only what is new is computed."""
        before, now, metric = self.prototypes.classes, prototypes.classes, prototypes.metric
        matrix, background = prototypes.matrix, self.rows.matrix[len(before) :]
        if (white := self.white) is not None:
            source = sources(before, now)
            matrix = carried(self.rows.matrix, source, now, lambda some: whitened(some, white, metric))
        parts = None
        if self.parts is not None:
            known = {id(proto): own for proto, own in zip(before, self.parts, strict=True)}
            parts = tuple(known.get(id(proto)) or parts_of(proto.kept_rows, metric) for proto in now)
        rows = Rows(np.concatenate([matrix, background]), metric)
        return replace(self, prototypes=prototypes, rows=rows, parts=parts)

    def scores(self, embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score one embedding `float32 [D]`: `float32 [C + B]`, higher is nearer."""
        if self.white is not None:
            embedding = whiten(embedding, self.white, self.prototypes.metric)
        scores = self.rows.scores(embedding)
        self._refine(scores[: self.n_classes], embedding)
        return scores

    def scores_many(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score embeddings `float32 [N, D]`: `float32 [N, C + B]`."""
        if self.white is not None:
            embeddings = whiten(embeddings, self.white, self.prototypes.metric)
        scores = self.rows.scores_many(embeddings)
        for row, embedding in zip(scores[:, : self.n_classes], embeddings, strict=True):
            self._refine(row, embedding)
        return scores

    def _refine(self, own: NDArray[np.float32], embedding: NDArray[np.float32]) -> None:
        """Half by the mean, half by the best part, for the classes that can still win."""
        if self.parts is None:
            return
        best = np.arange(len(own)) if len(own) <= REFINED else np.argpartition(own, -REFINED)[-REFINED:]
        parted = [i for i in best.tolist() if len(self.parts[i].means) > 1]
        if not parted:
            return
        means = [self.parts[i].means for i in parted]
        scores = similarity(np.concatenate(means), embedding, self.prototypes.metric)
        starts = np.cumsum([0, *map(len, means[:-1])])
        own[parted] = 0.5 * own[parted] + 0.5 * np.maximum.reduceat(scores, starts)


def make_head(
    name: str,
    prototypes: Prototypes,
    background: NDArray[np.float32],
    *,
    white: NDArray[np.float32] | None = None,
    residual_weight: float = 0.0,
    parts: Sequence[Parts] | None = None,
) -> Head:
    """Make a head of its parts. background: `float32 [B, D]`."""
    metric, rows = prototypes.metric, prototypes.matrix
    if white is not None:
        rows, background = whitened(prototypes.classes, white, metric), whiten(background, white, metric)
    own_parts = None if parts is None else tuple(parts)
    return Head(name, prototypes, Rows(np.concatenate([rows, background]), metric), white, residual_weight, own_parts)


def whitened(classes: Sequence[Prototype], white: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    """The means of classes in the whitened space, `float32 [n, D]`.

    In blocks of one size, so that a row has the same bits however many there are.
    """
    rows = np.zeros((-(-len(classes) // BLOCK) * BLOCK, len(white)), np.float32)
    for row, proto in enumerate(classes):
        rows[row] = proto.mean
    for start in range(0, len(rows), BLOCK):
        rows[start : start + BLOCK] = whiten(rows[start : start + BLOCK], white, metric)
    return rows[: len(classes)]
