"""Match an embedding against a gallery: the best class, and the checks that all must pass, or "unknown".

1. score: at least what the class demands of this frame (`runtime/matching/acceptance.py`);
2. margin: clearly nearer than the runner-up, or two classes are the same thing;
3. nearest shot: near at least one thing that was really shown;
4. not this: nearer to a shot than to any frame that was rejected for this class.

A Matcher is one immutable view of a gallery, so readers need no lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.matching.acceptance import Acceptance, clearly_nearer, soft_maxima
from runtime.matching.heads import Head
from runtime.matching.prototypes import Prototype, Prototypes, similarity
from runtime.recognition import NearestShot, Recognition

N_NEAREST = 3
ACCEPTED = "accepted"


@dataclass(frozen=True)
class Match:
    """The decision on one embedding, with everything it was decided by.

    row: index of the best class, -1 in an empty gallery.  check: "accepted" or the name of the check that failed.
    nearest: rows into the best class's shots, nearest first, with their scores.
    """

    row: int
    check: str
    score: float
    threshold: float
    runner_up: int
    margin: float
    nearest: tuple[tuple[int, float], ...]


EMPTY = Match(-1, "empty gallery", float("-inf"), float("-inf"), -1, float("inf"), ())


@dataclass(frozen=True, eq=False)
class Matcher:
    """A gallery ready to be matched. acceptance=None: a closed set, the best class is always accepted."""

    prototypes: Prototypes
    head: Head | None
    acceptance: Acceptance | None

    def decide(self, embedding: NDArray[np.float32]) -> Match:
        """Match one embedding `float32 [D]`."""
        if self.head is None:
            return EMPTY
        scores = self.head.scores(embedding)
        own = scores[: self.head.n_classes]
        best = int(own.argmax())
        score = float(own[best])
        own[best] = -np.inf
        runner_up, second = -1, float("-inf")
        if len(own) > 1:
            runner_up = int(own.argmax())
            second = float(own[runner_up])
        shots = self.prototypes.classes[best].shots
        shot_scores = similarity(shots.embeddings, embedding, self.prototypes.metric)
        nearest = tuple(_nearest(shot_scores))
        check, threshold = ACCEPTED, float("-inf")
        if self.acceptance is not None:
            threshold = self.acceptance.threshold(best, scores)
            check = self._check(best, score, threshold, second, nearest[0][1], embedding)
        return Match(best, check, score, threshold, runner_up, score - second, nearest)

    def scored(
        self, embeddings: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float64]]:
        """The best class of each embedding `float32 [N, D]`, its score, and the pressure on it."""
        assert self.head
        assert self.acceptance
        scores, rows = self.head.scores_many(embeddings), np.arange(len(embeddings))
        best = scores[:, : self.head.n_classes].argmax(axis=1)
        score = scores[rows, best].copy()
        scores[rows, best] = -np.inf
        return best, score, soft_maxima(scores, self.acceptance.pressure.temperature)

    def _check(
        self, best: int, score: float, threshold: float, second: float, nearest: float, z: NDArray[np.float32]
    ) -> str:
        metric = self.prototypes.metric
        negatives = self.prototypes.classes[best].shots.negatives
        if score < threshold:
            return "score"
        if not clearly_nearer(score, second, metric):
            return "margin"
        if self.acceptance and nearest < self.acceptance.nearest:
            return "nearest shot"
        if len(negatives) and similarity(negatives, z, metric).max() >= nearest:
            return "not this"
        return ACCEPTED


def recognition_of(
    match: Match, classes: Sequence[Prototype], timings: dict[str, float], embedding: NDArray[np.float32]
) -> Recognition:
    """Tell a match in words.  classes: those that were matched."""
    embedding = embedding.view()
    embedding.setflags(write=False)
    if match is EMPTY:
        return Recognition(
            None, None, match.score, match.threshold, None, match.margin, match.check, (), timings, embedding
        )
    shots = classes[match.row].shots
    return Recognition(
        label=shots.label if match.check == ACCEPTED else None,
        candidate=shots.label,
        score=match.score,
        threshold=match.threshold,
        runner_up=classes[match.runner_up].shots.label if match.runner_up >= 0 else None,
        margin=match.margin,
        check=match.check,
        nearest=tuple(NearestShot(int(shots.ids[i]), score) for i, score in match.nearest),
        timings_ms=timings,
        embedding=embedding,
    )


def _nearest(scores: NDArray[np.float32]) -> Iterator[tuple[int, float]]:
    """Index and score of the N_NEAREST highest, highest first; of equal ones the first. Spoils the scores."""
    for _ in range(min(N_NEAREST, len(scores))):
        best = int(scores.argmax())
        yield best, float(scores[best])
        scores[best] = -np.inf
