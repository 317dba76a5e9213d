"""The decision on one embedding: the best class and how certain it is.

The best class is the one whose score lies highest above its threshold (`runtime/matching/acceptance.py`). Then

1. "sure" needs the class's threshold, "maybe" a lower one; below that the answer is "unknown";
2. between two classes that look alike (twins), an answer that fits both is "maybe": either of the two;
3. a frame that is nearer to a rejected frame of the class ("not this") than to any of its shots is "unknown".

A Matcher is one immutable view of a gallery, so readers need no lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from runtime.matching.acceptance import Thresholds
from runtime.matching.prototypes import Prototypes, joined, similarity
from runtime.recognition import Certainty, NearestShot, Recognition

N_NEAREST = 3
REFINED = 8  # classes, the best by their prototypes, whose nearest shot is looked up
ACCEPTED = "accepted"


@dataclass(frozen=True)
class Match:
    """The decision on one embedding.

    Attributes:
        row: The best class; -1 in an empty gallery.
        certainty: "sure", "maybe" or "unknown".
        check: As in `Recognition`.
        score, threshold: Of the best class, as in `Recognition`.
        runner_up: The second best class; -1 if there is none.
        margin: The lead over it.
        nearest: Rows of the best class's shots with their scores, nearest first.
    """

    row: int
    certainty: Certainty
    check: str
    score: float
    threshold: float
    runner_up: int
    margin: float
    nearest: tuple[tuple[int, float], ...]


EMPTY = Match(-1, "unknown", "empty gallery", float("-inf"), float("-inf"), -1, float("inf"), ())


@dataclass(frozen=True, eq=False)
class Matcher:
    """A gallery ready to be matched.

    Attributes:
        prototypes: The classes.
        thresholds: What each class asks for; None for a closed set, in which every answer is sure.
    """

    prototypes: Prototypes
    thresholds: Thresholds | None

    def decide(self, embedding: NDArray[np.float32]) -> Match:
        """Match one embedding, `float32 [D]`."""
        if not self.prototypes.classes:
            return EMPTY
        classes, metric = self.prototypes.classes, self.prototypes.metric
        rows = self.prototypes.candidates(embedding[None])
        scores = self.prototypes.scores(embedding, rows)
        found = _highest(scores - (self._asked if rows is None else self._asked[rows]), REFINED)
        likely = {i if rows is None else int(rows[i]): scores[i] for i in found}
        near = {row: similarity(classes[row].shots.embeddings, embedding, metric) for row in likely}
        leads = {row: float(joined(score, near[row].max()) - self._asked[row]) for row, score in likely.items()}
        best, *others = sorted(likely, key=lambda row: -leads[row])
        lead, runner_up = leads[best], others[0] if others else -1
        second = leads[runner_up] if others else float("-inf")
        nearest = tuple((row, float(near[best][row])) for row in _highest(near[best], N_NEAREST))
        if self.thresholds is None:
            return Match(best, "sure", ACCEPTED, lead, float("-inf"), runner_up, lead - second, nearest)
        threshold = float(self.thresholds.sure[best])
        fits = (lead, second) if np.isfinite(threshold) else (float("inf"), float("inf"))
        certainty, check = self._check(best, runner_up, *fits, nearest[0][1], embedding)
        return Match(
            best, certainty, check, lead + float(self._asked[best]), threshold, runner_up, lead - second, nearest
        )

    @cached_property
    def _asked(self) -> NDArray[np.float32]:
        """What each class asks for; 0 for classes that ask for nothing, so that they are compared by score."""
        if self.thresholds is None:
            return np.zeros(len(self.prototypes.classes), np.float32)
        return np.where(np.isfinite(self.thresholds.sure), self.thresholds.sure, np.float32(0))

    def _check(
        self, best: int, runner_up: int, lead: float, second: float, nearest: float, z: NDArray[np.float32]
    ) -> tuple[Certainty, str]:
        """The certainty and the check that decided. lead, second: scores above the classes' thresholds."""
        assert self.thresholds is not None
        negatives = self.prototypes.classes[best].shots.negatives
        if lead < self.thresholds.maybe:
            return "unknown", "score"
        if len(negatives) and similarity(negatives, z, self.prototypes.metric).max() >= nearest:
            return "unknown", "not this"
        if second >= self.thresholds.maybe and runner_up in self.thresholds.twins.get(best, ()):
            return "maybe", "twin"
        return ("sure", ACCEPTED) if lead >= 0 else ("maybe", "score")


def recognition_of(
    match: Match, prototypes: Prototypes, timings: dict[str, float], embedding: NDArray[np.float32]
) -> Recognition:
    """Turn a match into an answer with labels and shot ids. The embedding becomes read-only."""
    embedding = embedding.view()
    embedding.setflags(write=False)
    classes = prototypes.classes
    shots = classes[match.row].shots if match.row >= 0 else None
    label = shots.label if shots else None
    return Recognition(
        label=label if match.certainty == "sure" else None,
        certainty=match.certainty,
        candidate=label,
        score=match.score,
        threshold=match.threshold,
        runner_up=classes[match.runner_up].shots.label if match.runner_up >= 0 else None,
        margin=match.margin,
        check=match.check,
        nearest=tuple(NearestShot(int(shots.ids[i]), score) for i, score in match.nearest) if shots else (),
        timings_ms=timings,
        embedding=embedding,
    )


def _highest(scores: NDArray[np.float32], n: int) -> list[int]:
    """The indices of the n highest scores, highest first."""
    if len(scores) > n:
        some = np.argpartition(scores, -n)[-n:]
        return [int(i) for i in some[np.argsort(-scores[some], kind="stable")]]
    return [int(i) for i in np.argsort(-scores, kind="stable")]
