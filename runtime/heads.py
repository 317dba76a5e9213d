"""How a class is scored: by its mean, by the best of its parts, or by its mean in a space whitened by what varies
within classes (LDA). Which of them is decided by leaving shots out, and shown.

Scores of the background, the bundle's base classes, come from the same head, so they can compete.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from runtime.errors import OptionError
from runtime.lda import shrinkage, whiten, whitening
from runtime.leave_one_out import EVIDENCE, Probes, clearly_better, lda_hits, mean_hits, part_hits, probes_of
from runtime.prototypes import Prototypes, Rows, similarity
from runtime.scatter import Scatter
from runtime.subprototypes import MIN_SHOTS, sub_prototypes

HEADS = ("mean", "subprototypes", "lda")
MIN_SHOTS_LDA = 3  # of a class, on average
EVIDENCE_LDA = 1.0  # standard deviations, without any degree of freedom
REFINED = 16  # classes, the best by their means, whose parts are looked at: 1,000 classes cost the same


class Head:
    """Scores embeddings against C classes and B background rows.

    name: one of HEADS.  white: `float32 [D, D]` of the LDA.  parts: per class the parts' means, for sub-prototypes.
    """

    def __init__(
        self,
        name: str,
        prototypes: Prototypes,
        background: NDArray[np.float32],
        *,
        white: NDArray[np.float32] | None = None,
        parts: Sequence[NDArray[np.float32]] | None = None,
    ) -> None:
        self.name, self.metric, self.n_classes = name, prototypes.metric, len(prototypes.classes)
        self._white, self._parts = white, parts
        rows = np.concatenate([prototypes.matrix, background])
        self._rows = Rows(rows if white is None else whiten(rows, white, self.metric), self.metric)

    def scores(self, embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score one embedding `float32 [D]`: `float32 [C + B]`, higher is nearer."""
        if self._white is not None:
            embedding = whiten(embedding, self._white, self.metric)
        scores = self._rows.scores(embedding)
        if self._parts is not None:
            self._refine(scores, embedding)
        return scores

    def scores_many(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score embeddings `float32 [N, D]`: `float32 [N, C + B]`."""
        if self._white is not None:
            embeddings = whiten(embeddings, self._white, self.metric)
        scores = self._rows.scores_many(embeddings)
        if self._parts is not None:
            for row, embedding in zip(scores, embeddings, strict=True):
                self._refine(row, embedding)
        return scores

    def _refine(self, scores: NDArray[np.float32], embedding: NDArray[np.float32]) -> None:
        """Half by the mean, half by the best part, for the classes that can still win."""
        own = scores[: self.n_classes]
        best = range(len(own)) if len(own) <= REFINED else np.argpartition(own, -REFINED)[-REFINED:]
        for i in best:
            parts = self._parts[i]  # type: ignore[index]
            if len(parts) > 1:
                own[i] = 0.5 * own[i] + 0.5 * similarity(parts, embedding, self.metric).max()


class HeadChooser:
    """Makes the head of a gallery. choice: "auto" or one of HEADS. Raises OptionError for another."""

    def __init__(self, choice: str, dim: int, scale: float, background: NDArray[np.float32]) -> None:
        if choice not in ("auto", *HEADS):
            raise OptionError(f"head must be auto, {', '.join(HEADS)}, but got {choice!r}")
        self.choice, self._background = choice, background
        self._scatter = Scatter(dim, scale)
        self._parts: dict[int, tuple[object, NDArray[np.float32]]] = {}

    def head(self, prototypes: Prototypes) -> Head:
        """The head for these prototypes: a pure function of them."""
        if self.choice != "auto":
            return self._make(self.choice, prototypes)
        return self._best(prototypes)

    def _make(self, name: str, prototypes: Prototypes) -> Head:
        if name == "lda":
            self._scatter.update(prototypes.classes)
            white = whitening(self._scatter.covariance(), self._scatter.dof)
            return Head(name, prototypes, self._background, white=white)
        if name == "subprototypes":
            return Head(name, prototypes, self._background, parts=self._all_parts(prototypes))
        return Head(name, prototypes, self._background)

    def _all_parts(self, prototypes: Prototypes) -> list[NDArray[np.float32]]:
        known, self._parts = self._parts, {}
        for proto in prototypes.classes:
            found = known.get(id(proto))
            parts = found[1] if found else sub_prototypes(proto.shots.embeddings[proto.kept], prototypes.metric)
            self._parts[id(proto)] = proto, parts
        return [self._parts[id(proto)][1] for proto in prototypes.classes]

    def _best(self, prototypes: Prototypes) -> Head:
        """The head that names most shots it has not seen; the plain mean unless another gives evidence enough."""
        probes = probes_of(prototypes) if len(prototypes.classes) > 1 else None
        if probes is None or not len(probes.own):
            return self._make("mean", prototypes)
        hits = mean_hits(prototypes, probes)
        best, most = "mean", -1
        for name, needed, found in self._others(prototypes, probes):
            if clearly_better(found, hits) >= needed and int(found.sum()) > most:
                best, most = name, int(found.sum())
        return self._make(best, prototypes)

    def _others(self, prototypes: Prototypes, probes: Probes) -> Iterator[tuple[str, float, NDArray[np.bool_]]]:
        """Heads with the evidence each needs and what it names right.

        An LDA with as many degrees of freedom as dimensions is expected to help, so it only must not be clearly worse.
        """
        counts = [int(proto.kept.sum()) for proto in prototypes.classes]
        if max(counts) >= MIN_SHOTS:
            yield "subprototypes", EVIDENCE, part_hits(prototypes, probes, self._all_parts(prototypes))
        if sum(counts) >= MIN_SHOTS_LDA * len(counts):
            self._scatter.update(prototypes.classes)
            covariance, dof = self._scatter.covariance(), self._scatter.dof
            variance = float(np.trace(covariance)) / len(covariance)
            if variance > 0:
                factor = (1 - shrinkage(len(covariance), dof)) / (variance * dof)
                needed = EVIDENCE_LDA - 2 * min(1.0, dof / len(covariance))
                yield "lda", needed, lda_hits(prototypes, probes, whitening(covariance, dof), factor)
