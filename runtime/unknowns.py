"""When to say "unknown": four checks on the best class, all of which must pass. Pure numpy, no state.

1. score: at least the threshold that strangers of the base classes passed at the asked rate (the bundle's table);
2. ratio: clearly nearer than the runner-up (the ratio test of Lowe 2004, "Distinctive Image Features", section 7.1);
3. background: clearly nearer, by the same ratio, than any base class of the bundle: a stranger is mostly more like
   something the network has seen before than like anything that was taught;
4. nearest shot: near at least one thing that was really shown, and nearer to it than to any "not this" example.

The table counts different photographs, the camera delivers frames: thirty frames of one second are not thirty shots.
So a class is judged by its *views*, the number of different photographs whose mean would spread as its shots do.

Scores are those of `prototypes.similarity`: higher is nearer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import OptionError
from runtime.prototypes import Prototypes, similarity

MAX_DISTANCE_RATIO = 0.95
NEAREST_SLACK = 4  # the nearest shot passes at this multiple of the stranger rate: it is one photograph, not a mean
N_NEAREST = 3
ACCEPTED = "accepted"


@dataclass(frozen=True)
class Rejection:
    """What a bundle knows about strangers: its calibration table and its background.

    stranger_rate: the share of strangers that may be accepted, 0..1, as measured on base classes.
    background: `float32 [B, D]`, prototypes of base classes.
    """

    calibration: Mapping[str, Any] | None
    stranger_rate: float = 0.05
    background: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.stranger_rate <= 1:
            raise OptionError(f"stranger_rate must be in 0..1, or None for a closed set, but got {self.stranger_rate}")

    def views(self, n_shot: int, spread: float) -> float:
        """How many different photographs, 1..n_shot, n_shot shots of this spread are worth.

        n different ones spread by (1 - 1/n) of the variance within a class, on average; this solves for n.
        """
        within = (self.calibration or {}).get("within_variance")
        if not within:
            return float(n_shot)
        return float(min(n_shot, 1 / max(1 - spread / within, 1e-6)))

    def threshold(self, views: float) -> float:
        """The score a class of so many views demands; -inf where the bundle has no table."""
        if not self.calibration:
            return -np.inf
        return float(np.interp(math.log(max(views, 1.0)), *self._table(self.stranger_rate)))

    def nearest_threshold(self) -> float:
        """The score that the nearest shot demands; -inf where the bundle has no table."""
        if not self.calibration:
            return -np.inf
        return float(self._table(min(1.0, NEAREST_SLACK * self.stranger_rate))[1][0])

    def background_score(self, embedding: NDArray[np.float32], metric: str) -> float:
        """The best score of an embedding `float32 [D]` against the background; -inf where there is none."""
        if self.background is None or not len(self.background):
            return -np.inf
        return float(similarity(self.background, embedding, metric).max())

    @cached_property
    def _tables(self) -> dict[float, tuple[list[float], list[float]]]:
        return {}

    def _table(self, rate: float) -> tuple[list[float], list[float]]:
        """log(n_shot) and the score that this share of strangers exceeds."""
        if rate not in self._tables:
            impostor = (self.calibration or {})["impostor"]
            shots = sorted(impostor, key=int)
            scores = [float(np.interp(1 - rate, np.linspace(0, 1, len(impostor[n])), impostor[n])) for n in shots]
            self._tables[rate] = [math.log(int(n)) for n in shots], scores
        return self._tables[rate]


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


def decide(prototypes: Prototypes, embedding: NDArray[np.float32], rejection: Rejection | None) -> Match:
    """Match one embedding `float32 [D]`. rejection=None: closed set, the best class is always accepted."""
    if not prototypes.classes:
        return EMPTY
    scores = prototypes.scores(embedding)
    best = int(scores.argmax())
    score = float(scores[best])
    runner_up, second = -1, float("-inf")
    if len(scores) > 1:
        scores[best] = -np.inf
        runner_up = int(scores.argmax())
        second = float(scores[runner_up])
    shots = prototypes.classes[best]
    shot_scores = similarity(shots.embeddings, embedding, prototypes.metric)
    nearest = tuple((int(i), float(shot_scores[i])) for i in np.argsort(-shot_scores, kind="stable")[:N_NEAREST])
    check, threshold = ACCEPTED, float("-inf")
    if rejection is not None:
        threshold = rejection.threshold(rejection.views(len(shot_scores), float(prototypes.spread[best])))
        if score < threshold:
            check = "score"
        elif not _clearly_nearer(score, second, prototypes.metric):
            check = "margin"
        elif not _clearly_nearer(score, rejection.background_score(embedding, prototypes.metric), prototypes.metric):
            check = "background"
        elif nearest[0][1] < rejection.nearest_threshold():
            check = "nearest shot"
        elif len(shots.negatives) and similarity(shots.negatives, embedding, prototypes.metric).max() >= nearest[0][1]:
            check = "not this"
    return Match(best, check, score, threshold, runner_up, score - second, nearest)


def _clearly_nearer(score: float, other: float, metric: str) -> bool:
    return _distance(score, metric) < MAX_DISTANCE_RATIO * _distance(other, metric)


def _distance(score: float, metric: str) -> float:
    return max(0.0, 1 - score if metric == "cosine" else -score)  # the cosine of equal vectors may round to over 1
