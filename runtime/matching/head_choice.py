"""Which head a gallery gets: the one that names most shots it has not seen, or the one that was asked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from runtime.errors import OptionError
from runtime.matching.heads import HEADS, Head, make_head
from runtime.matching.lda import shrinkage, whitening
from runtime.matching.leave_one_out import clearly_better, hits, probes_of
from runtime.matching.prototypes import Prototype, Prototypes
from runtime.matching.subprototypes import MIN_SHOTS, Parts, parts_of
from runtime.matching.within_scatter import Scatter

MIN_SHOTS_LDA = 3  # of a class, on average
EVIDENCE = 2.0  # standard deviations by which sub-prototypes must beat the plain mean
EVIDENCE_LDA = -1.0  # it helps so often that it only must not be worse


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
        if self.choice == "mean":
            return make_head("mean", prototypes, self._background)
        if self.choice == "subprototypes":
            return self._parted(prototypes)
        return self._lda(prototypes) if self.choice == "lda" else self._best(prototypes)

    def _parted(self, prototypes: Prototypes) -> Head:
        known, self._parts = self._parts, {}
        for proto in prototypes.classes:
            found = known.get(id(proto))
            self._parts[id(proto)] = found or (proto, parts_of(proto.kept_rows, prototypes.metric))
        parts = [self._parts[id(proto)][1] for proto in prototypes.classes]
        return make_head("subprototypes", prototypes, self._background, parts=parts)

    def _lda(self, prototypes: Prototypes) -> Head:
        self._scatter.update(prototypes.classes)
        covariance, dof = self._scatter.covariance(), self._scatter.dof
        dim, trace = len(covariance), float(np.trace(covariance))
        weight = (1 - shrinkage(dim, dof)) * dim / (trace * dof) if trace > 0 else 0.0
        white = whitening(covariance, dof)
        return make_head("lda", prototypes, self._background, white=white, residual_weight=weight)

    def _best(self, prototypes: Prototypes) -> Head:
        """The head that names most shots it has not seen; the plain mean unless another gives evidence enough."""
        best, most = make_head("mean", prototypes, self._background), -1
        probes = probes_of(prototypes)
        probes = probes.of(probes.known)
        if len(prototypes.classes) < 2 or not len(probes.own):
            return best
        plain = hits(best, probes)
        for head, needed in self._others(prototypes):
            found = hits(head, probes)
            if clearly_better(found, plain) >= needed and int(found.sum()) > most:
                best, most = head, int(found.sum())
        return best

    def _others(self, prototypes: Prototypes) -> Iterator[tuple[Head, float]]:
        """Heads with the evidence each needs."""
        counts = prototypes.counts
        if counts.max() >= MIN_SHOTS:
            yield self._parted(prototypes), EVIDENCE
        if counts.sum() >= MIN_SHOTS_LDA * len(counts):
            yield self._lda(prototypes), EVIDENCE_LDA
