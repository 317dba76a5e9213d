"""How a class is scored: by its mean, by the best of its parts, or by its mean in a space whitened by what varies
within classes (LDA). Which of them is decided by leaving shots out, and shown.

Scores of the background, the bundle's base classes, come from the same head, so they can compete.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from runtime.errors import OptionError
from runtime.lda import shrinkage, whiten, whitening
from runtime.leave_one_out import EVIDENCE, Probes, clearly_better, lda_hits, mean_hits, part_hits, probes_of
from runtime.prototypes import Prototype, Prototypes, Rows, carried, similarity, sources
from runtime.scatter import Scatter
from runtime.subprototypes import MIN_SHOTS, Parts, parts_of

HEADS = ("mean", "subprototypes", "lda")
MIN_SHOTS_LDA = 3  # of a class, on average
EVIDENCE_LDA = 1.0  # standard deviations, without any degree of freedom
BLOCK = 16  # rows that are whitened at once
REFINED = 16  # classes, the best by their means, whose parts are looked at: 1,000 classes cost the same


@dataclass(frozen=True, eq=False)
class Head:
    """Scores embeddings against C classes and B background rows.

    name: one of HEADS.  rows: a row for each class, as the head sees it, and `background` likewise.
    white: `float32 [D, D]` of the LDA.  parts: of each class, for sub-prototypes.
    """

    name: str
    prototypes: Prototypes
    rows: Rows
    background: Rows
    white: NDArray[np.float32] | None = None
    parts: tuple[Parts, ...] | None = None

    @property
    def n_classes(self) -> int:
        return len(self.prototypes.classes)

    def following(self, prototypes: Prototypes) -> Head:
        """The same head for a gallery that changed: only what is new is computed."""
        before, now, metric = self.prototypes.classes, prototypes.classes, prototypes.metric
        matrix = prototypes.matrix
        if (white := self.white) is not None:
            source = sources(before, now)
            matrix = carried(self.rows.matrix, source, now, lambda some: whitened(some, white, metric))
        parts = None
        if self.parts is not None:
            known = {id(proto): own for proto, own in zip(before, self.parts, strict=True)}
            parts = tuple(known.get(id(proto)) or parts_of(proto.kept_rows, metric) for proto in now)
        return replace(self, prototypes=prototypes, rows=Rows(matrix, metric), parts=parts)

    def scores(self, embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score one embedding `float32 [D]`: `float32 [C + B]`, higher is nearer."""
        if self.white is not None:
            embedding = whiten(embedding, self.white, self.prototypes.metric)
        own = self.rows.scores(embedding)
        self._refine(own, embedding)
        return np.concatenate([own, self.background.scores(embedding)])

    def scores_many(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score embeddings `float32 [N, D]`: `float32 [N, C + B]`."""
        if self.white is not None:
            embeddings = whiten(embeddings, self.white, self.prototypes.metric)
        own = self.rows.scores_many(embeddings)
        for row, embedding in zip(own, embeddings, strict=True):
            self._refine(row, embedding)
        return np.concatenate([own, self.background.scores_many(embeddings)], axis=1)

    def _refine(self, own: NDArray[np.float32], embedding: NDArray[np.float32]) -> None:
        """Half by the mean, half by the best part, for the classes that can still win."""
        if self.parts is None:
            return
        best = range(len(own)) if len(own) <= REFINED else np.argpartition(own, -REFINED)[-REFINED:]
        for i in best:
            means = self.parts[i].means
            if len(means) > 1:
                own[i] = 0.5 * own[i] + 0.5 * similarity(means, embedding, self.prototypes.metric).max()


def make_head(
    name: str,
    prototypes: Prototypes,
    background: NDArray[np.float32],
    *,
    white: NDArray[np.float32] | None = None,
    parts: Sequence[Parts] | None = None,
) -> Head:
    """Make a head of its parts. background: `float32 [B, D]`."""
    metric, rows = prototypes.metric, prototypes.matrix
    if white is not None:
        rows, background = whitened(prototypes.classes, white, metric), whiten(background, white, metric)
    own_parts = None if parts is None else tuple(parts)
    return Head(name, prototypes, Rows(rows, metric), Rows(background, metric), white, own_parts)


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


class HeadChooser:
    """Makes the head of a gallery. choice: "auto" or one of HEADS. Raises OptionError for another."""

    def __init__(self, choice: str, dim: int, scale: float, background: NDArray[np.float32]) -> None:
        if choice not in ("auto", *HEADS):
            raise OptionError(f"head must be auto, {', '.join(HEADS)}, but got {choice!r}")
        self.choice, self._background = choice, background
        self._scatter = Scatter(dim, scale)
        self._parts: dict[int, tuple[Prototype, Parts]] = {}

    def head(self, prototypes: Prototypes) -> Head:
        """The head for these prototypes: a pure function of them."""
        if self.choice == "auto":
            return self._best(prototypes)
        if self.choice == "lda":
            self._scatter.update(prototypes.classes)
            white = whitening(self._scatter.covariance(), self._scatter.dof)
            return make_head("lda", prototypes, self._background, white=white)
        if self.choice == "subprototypes":
            return make_head("subprototypes", prototypes, self._background, parts=self._all_parts(prototypes))
        return make_head("mean", prototypes, self._background)

    def _all_parts(self, prototypes: Prototypes) -> list[Parts]:
        known, self._parts = self._parts, {}
        for proto in prototypes.classes:
            found = known.get(id(proto))
            self._parts[id(proto)] = found or (proto, parts_of(proto.kept_rows, prototypes.metric))
        return [self._parts[id(proto)][1] for proto in prototypes.classes]

    def _best(self, prototypes: Prototypes) -> Head:
        """The head that names most shots it has not seen; the plain mean unless another gives evidence enough."""
        best, most = make_head("mean", prototypes, self._background), -1
        probes = probes_of(prototypes) if len(prototypes.classes) > 1 else None
        if probes is None or not len(probes.own):
            return best
        hits = mean_hits(prototypes, probes)
        for head, needed, found in self._others(prototypes, probes):
            if clearly_better(found, hits) >= needed and int(found.sum()) > most:
                best, most = head, int(found.sum())
        return best

    def _others(self, prototypes: Prototypes, probes: Probes) -> Iterator[tuple[Head, float, NDArray[np.bool_]]]:
        """Heads with the evidence each needs and what it names right.

        An LDA with as many degrees of freedom as dimensions is expected to help, so it only must not be clearly worse.
        """
        counts, background = prototypes.counts, self._background
        if counts.max() >= MIN_SHOTS:
            parts = self._all_parts(prototypes)
            hits = part_hits(prototypes, probes, parts)
            yield make_head("subprototypes", prototypes, background, parts=parts), EVIDENCE, hits
        if counts.sum() >= MIN_SHOTS_LDA * len(counts):
            self._scatter.update(prototypes.classes)
            covariance, dof = self._scatter.covariance(), self._scatter.dof
            dim = len(covariance)
            variance = float(np.trace(covariance)) / dim
            if variance > 0:
                white = whitening(covariance, dof)
                hits = lda_hits(prototypes, probes, white, (1 - shrinkage(dim, dof)) / (variance * dof))
                needed = EVIDENCE_LDA - 2 * min(1.0, dof / dim)
                yield make_head("lda", prototypes, background, white=white), needed, hits
