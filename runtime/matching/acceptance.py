"""When an answer is accepted and when it is "unknown".

The score of a frame for a class is half its similarity to the prototype and half that to the nearest shot. The frame is
given the name of its best class c if

    score for c  >=  base + offset of c

1. The offset is half of the mean score that the 8 most similar vectors of the bundle's cohort have for the class. The
   cohort shows things that no gallery holds (adaptive Z-norm: Auckenthaler et al. 2000, "Score normalization for
   text-independent speaker verification systems"). A class that resembles many things needs a higher score.
2. The base is the same for all classes. The bundle's table says, for a gallery of K classes, which best score strangers
   reach at the asked rate. The gallery corrects it: each of its classes is scored against the others as if it were a
   stranger, and the mean of these scores replaces that of the table, the more so the more bursts the gallery holds.
   Classes that look alike (`runtime/matching/twins.py`) are not scored against each other.
3. If single pictures that are left out in turn score far above that, the base rises to what 3 % of them miss: a few
   classes do not show what a stranger that looks like one of them would score.
4. If a person showed frames in which nothing taught is in view, at most the asked share of them is accepted.
5. No threshold is higher than the 95 % quantile of the scores that known things reached at another moment, which the
   table keeps: a gallery of things that look alike must not become one in which nothing is named.

Everything is derived from the stored shots and the bundle. What the recognizer refused is never used.

D: embedding size.  C: classes of the gallery.  B: cohort.  N: shots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import OptionError
from runtime.matching.large import LARGE
from runtime.matching.order import Order, taken_over
from runtime.matching.prototypes import Prototypes
from runtime.matching.twins import (
    TAIL,
    TWIN_RATE,
    CrossScores,
    Likeness,
    Nearest,
    Score,
    Strangers,
    Twins,
    TwinsOnDemand,
    cross_scores,
    evenly,
    find_twins,
    likeness_near,
)

NEAREST = 8  # cohort vectors that a class is compared with
SHARE = 0.5  # of their mean similarity that becomes the offset
TABLE_BURSTS = 2  # how many bursts the mean of the table counts as
MISSED, MIN_LEFT_OUT = 0.03, 12  # share of left-out pictures that the base may cost, and how many are needed
MANY = 512  # classes of a large gallery whose offsets are computed at once
MIN_UNKNOWN = 10  # frames that show nothing taught, before they count
MAYBE = 2.0  # "maybe" accepts so many times the asked share of strangers
TWIN = {"cosine": 0.9, "euclidean": 0.0}  # scores of prototypes that are twins, without a table
SMALLEST_RATE = 0.005
MAX_MAYBE = 0.4  # but never more than this share


@dataclass(frozen=True, eq=False)
class Thresholds:
    """What a gallery asks for.

    Attributes:
        sure: The score each class needs, `float32 [C]`.
        maybe: How far below that a "maybe" ends, at most 0.
        twins: For each class that looks like others, their rows.
    """

    sure: NDArray[np.float32]
    maybe: float
    twins: Mapping[int, tuple[int, ...]]


class Acceptance:
    """The rule for one bundle and one stranger rate.

    Args:
        calibration: The bundle's table, see `exporters/verify/calibration.py`. None: the classes of the gallery alone
            show how strangers score.
        cohort: `float32 [B, D]`.
        metric: "cosine" or "euclidean".
        rate: The share of strangers that may be accepted, 0..1; None for a closed set.

    Raises:
        OptionError: The rate is outside 0..1.
    """

    def __init__(
        self, calibration: Mapping[str, Any] | None, cohort: NDArray[np.float32], metric: str, rate: float | None
    ) -> None:
        if rate is not None and not (isinstance(rate, (int, float)) and 0 <= rate <= 1):
            raise OptionError(f"stranger_rate must be in 0..1, or None for a closed set, but got {rate!r}")
        self.calibration, self.metric, self.rate = calibration, metric, rate
        self._cohort = cohort
        self._order, self._offsets = Order(), np.zeros(0)  # the offset of each class
        self._nearest = Nearest()

    def at(self, rate: float | None) -> Acceptance:
        """The same rule at another rate. Raises OptionError."""
        return Acceptance(self.calibration, self._cohort, self.metric, rate)

    def thresholds(self, prototypes: Prototypes, unknown: NDArray[np.float32]) -> Thresholds | None:
        """Set the thresholds of a gallery.

        Args:
            prototypes: Its classes.
            unknown: Frames of which a person said that nothing taught is in view, `float32 [S, D]`.

        Returns:
            The thresholds; None for a closed set or an empty gallery.
        """
        if self.rate is None or not prototypes.classes:
            return None
        offsets = self._class_offsets(prototypes)
        cross, n_classes = cross_scores(prototypes, offsets), len(offsets)
        twin = self.calibration["twin"] if self.calibration else TWIN[self.metric]
        alike = self._alike(prototypes, offsets, cross)
        pairs = find_twins(cross, alike, twin, lambda own: self._base(n_classes, own, TWIN_RATE))
        own = cross.strangers(pairs)
        twins: Mapping[int, tuple[int, ...]] = Twins(pairs, n_classes)
        if prototypes.large:
            twins = TwinsOnDemand(prototypes, offsets, twin, self._base(n_classes, own, TWIN_RATE))
        bases = [self._base(n_classes, own, rate) for rate in (self.rate, self._maybe_rate())]
        floor = max(missed_by_few(prototypes, offsets), self._unknown_floor(prototypes, offsets, unknown))
        sure = np.minimum(max(bases[0], floor) + offsets, self.calibration["cap"] if self.calibration else np.inf)
        below = min(0.0, bases[1] - bases[0]) if np.isfinite(bases).all() else 0.0
        return Thresholds(sure.astype(np.float32), below, twins)

    def _base(self, n_classes: int, own: Strangers, rate: float) -> float:
        if self.calibration is not None:
            return base(self.calibration, n_classes, own, rate)
        return normal_base(own, rate)

    def _maybe_rate(self) -> float:
        assert self.rate is not None
        return max(self.rate, min(MAX_MAYBE, MAYBE * self.rate))

    def _alike(self, prototypes: Prototypes, offsets: Score, cross: CrossScores) -> Likeness:
        """The pairs that may be twins: in a large gallery only those of the classes that are scored as strangers."""
        if not prototypes.large:
            return self._nearest.update(prototypes, offsets)
        rows = np.unique(cross.owner).tolist()
        near = {pair: one for row in rows for pair, one in likeness_near(prototypes, offsets, row).items()}
        pairs, alike_above = np.array(list(near), np.int64), np.array(list(near.values()), np.float64)
        return Likeness(pairs.reshape(-1, 2), *alike_above.reshape(-1, 2).T)

    def _class_offsets(self, prototypes: Prototypes) -> Score:
        """The offset of each class, `float64 [C]`; only that of a new class is computed."""
        before = prototypes.order.rows_in(self._order)
        offsets, fresh = taken_over(self._offsets, before), np.flatnonzero(before < 0)
        each = MANY if prototypes.large else 1  # rounding differs with the number of classes that are computed at once
        for start in range(0, len(fresh), each):
            some = fresh[start : start + each]
            new = Prototypes(self.metric, prototypes.dim, [prototypes.classes[row] for row in some])
            offsets[some] = class_offsets(new.class_scores(self._cohort).T)
        self._order, self._offsets = prototypes.order, offsets
        return offsets

    def _unknown_floor(self, prototypes: Prototypes, offsets: Score, unknown: NDArray[np.float32]) -> float:
        assert self.rate is not None
        if len(unknown) < MIN_UNKNOWN:
            return -np.inf
        near = prototypes.near(unknown)
        best = (prototypes.class_scores(unknown, near) - (offsets if near is None else offsets[near])).max(axis=1)
        return float(np.quantile(best, 1 - self.rate)) + 1e-6


def class_offsets(cohort_scores: Score) -> Score:
    """Class offsets, `float64 [C]`, from scores against the cohort, `float [C, B]`; -inf leaves one out."""
    n = min(NEAREST, cohort_scores.shape[1])
    if n == 0:
        return np.zeros(len(cohort_scores))
    nearest = -np.partition(-cohort_scores, n - 1, axis=1)[:, :n]
    known = np.isfinite(nearest)
    total = np.where(known, nearest, 0).sum(axis=1, dtype=np.float64)
    return np.asarray(SHARE * total / np.maximum(known.sum(axis=1), 1))


def base(table: Mapping[str, Any], n_classes: int, own: Strangers, rate: float) -> float:
    """The base of a gallery: what the table says for its size and the rate, moved by what its own classes show."""
    sizes, at, log_rates = np.log(table["sizes"]), np.log(n_classes), np.log(table["rates"])
    usual = float(np.interp(at, sizes, table["mean"]))
    excess = [float(np.interp(np.log(max(rate, SMALLEST_RATE)), log_rates, row)) for row in table["excess"]]
    return level(own, usual) + float(np.interp(at, sizes, excess))


def normal_base(own: Strangers, rate: float) -> float:
    """The base without a table: strangers score like the gallery's classes against each other, normally distributed."""
    if own.bursts == 0:
        return -np.inf
    normal, rate = NormalDist(), min(max(rate, SMALLEST_RATE), 1 - SMALLEST_RATE)
    return own.mean + own.tail * normal.inv_cdf(1 - rate) / normal.inv_cdf(TAIL)


def level(own: Strangers, usual: float) -> float:
    """Where strangers score: the mean of the gallery and that of the table, `usual`, weighted by their bursts."""
    return (own.bursts * own.mean + TABLE_BURSTS * usual) / (own.bursts + TABLE_BURSTS)


def missed_by_few(prototypes: Prototypes, offsets: Score) -> float:
    """The base that MISSED of the left-out pictures would miss; -inf where there are few."""
    rows = evenly(len(offsets), LARGE)
    rows = rows[prototypes.counts[rows, 2] > 0]
    scores = [prototypes.classes[row].left_out for row in rows]
    left_out = np.concatenate([np.zeros(0), *scores]) - np.repeat(offsets[rows], prototypes.counts[rows, 2])
    return float(np.quantile(left_out, MISSED)) if len(left_out) >= MIN_LEFT_OUT else -np.inf
