"""Which classes look alike, so that they may be one thing under two names.

Two classes are twins if their prototypes are as similar as is rare between different things, or if the shots of one of
them would mostly be given the name of the other in a gallery that holds only one of the two. The second test adapts to
the gallery: two photographs of one mug on different days are alike beside a bicycle and a keyboard, and so are not all
the apples of a shop.

D: embedding size.  C: classes.  S: sampled shots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from runtime.matching.order import Order, taken_over
from runtime.matching.prototypes import Prototype, Prototypes

TWIN_RATE = 0.01  # the stranger rate at which the shots of one class would be given the name of the other
COMPARED_SHOTS = 4  # of a class, that are compared with another class
COMPARED_NEAR = 4  # classes that a class of a large gallery is compared with
COMPARED_AT_ONCE = 256  # classes, so that a large gallery takes little memory
SAMPLED_SHOTS = 8  # of a class, that are scored as strangers
MAX_SAMPLED, MAX_CLASSES = 160, 40  # shots and classes, so that 1,000 classes cost no more
TAIL = 0.95  # the quantile that stands for the upper tail

Score = NDArray[np.float64]
Pair = tuple[int, int]
NONE = np.zeros((0, 2), np.int64)


@dataclass(frozen=True)
class Strangers:
    """How classes score against each other.

    Attributes:
        mean: The mean best score above the offset, every class counting the same.
        tail: How far the 95 % quantile lies above the mean.
        bursts: From how many bursts this is known; 0 if no class has another to be scored against.
    """

    mean: float
    tail: float
    bursts: int


@dataclass(frozen=True, eq=False)
class CrossScores:
    """A few shots of some classes, scored against the other classes.

    Attributes:
        above: Scores above the offset of each class, `float64 [S, n]`; -inf for the class of the shot.
        owner: The row of the class of each shot, `int [S]`.
        bursts: How many bursts the gallery holds.
        columns: The rows of the classes that were compared, `int [n]`, ascending: all, or those near a shot.
    """

    above: Score
    owner: NDArray[np.int64]
    bursts: int
    columns: NDArray[np.int64]

    @cached_property
    def _best(self) -> Score:
        """The best score of each shot, `float64 [S]`."""
        return np.asarray(self.above.max(axis=1))

    def strangers(self, twins: NDArray[np.int64] = NONE) -> Strangers:
        """How the classes score against each other. Twins, `int [T, 2]`, are not strangers to each other."""
        best, weight = self._best.copy(), 1 / np.bincount(self.owner)[self.owner]
        sampled = np.zeros(max(self.owner.max(), twins.max(initial=0)) + 1, bool)
        sampled[self.owner] = True
        alike: dict[int, list[int]] = {}
        for a, b in twins[sampled[twins].any(axis=1)].tolist():
            alike.setdefault(a, []).append(b)
            alike.setdefault(b, []).append(a)
        for row in (row for row in alike if sampled[row]):
            own, at = np.flatnonzero(self.owner == row), np.searchsorted(self.columns, alike[row])
            at = at[self.columns.take(at, mode="clip") == alike[row]]  # some were not compared
            others = self.above[own]
            others[:, at] = -np.inf
            best[own] = others.max(axis=1)
        comparable = np.isfinite(best)
        if not comparable.any():
            return Strangers(0.0, 0.0, 0)
        best, weight = best[comparable], weight[comparable]
        mean, order = float(np.average(best, weights=weight)), np.argsort(best)
        at = (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum()
        return Strangers(mean, float(np.interp(TAIL, at, best[order])) - mean, self.bursts)


def cross_scores(prototypes: Prototypes, offsets: Score) -> CrossScores:
    """Score a few shots of each class against the other classes."""
    classes = prototypes.classes
    each = max(1, min(SAMPLED_SHOTS, MAX_SAMPLED // len(classes)))
    rows = evenly(len(classes), MAX_CLASSES)
    taught = [classes[row].shots.embeddings for row in rows]
    shots = [some[evenly(len(some), each)] for some in taught]
    owner, together = np.repeat(rows, [len(some) for some in shots]), np.concatenate(shots)
    near = prototypes.near(together)
    columns = np.arange(len(classes)) if near is None else np.union1d(near, rows)
    above = prototypes.class_scores(together, None if near is None else columns) - offsets[columns]
    above[np.arange(len(owner)), np.searchsorted(columns, owner)] = -np.inf
    return CrossScores(above, owner, int(prototypes.counts[:, 1].sum()), columns)


@dataclass(frozen=True, eq=False)
class Likeness:
    """How much pairs of classes look like each other.

    Attributes:
        pairs: Their rows, the lower one first, `int [P, 2]`; no pair is there twice.
        alike: The score of one prototype for the other, `float64 [P]`.
        above: The mean score above the offset that shots of one of them have for the other, of both directions the
            higher one, `float64 [P]`.
    """

    pairs: NDArray[np.int64]
    alike: Score
    above: Score


class Nearest:
    """The most similar other class of each class of a gallery; only what a new class changes is computed."""

    def __init__(self) -> None:
        self._order, self._nearest = Order(), np.zeros(0, np.int64)  # the row of the most similar class of each class
        self._alike, self._above = np.zeros(0, np.float32), np.zeros(0)  # `Likeness` of each class with that one

    def update(self, prototypes: Prototypes, offsets: Score) -> Likeness:
        """Follow a gallery.

        Args:
            prototypes: Its classes.
            offsets: Of its classes, `float64 [C]`.

        Returns:
            How alike the pairs are of which one is the most similar to the other.
        """
        nearest, alike, above = self._followed(prototypes)
        one = np.arange(len(nearest))
        twice = (nearest < one) & (nearest[nearest] == one)  # each is the most similar to the other
        one = one[(nearest != one) & ~twice]
        pairs = np.stack([np.minimum(one, nearest[one]), np.maximum(one, nearest[one])], axis=1)
        for at in np.flatnonzero(np.isnan(above[one])):
            above[one[at]] = _above(prototypes, offsets, *pairs[at].tolist())
        self._order, self._nearest, self._alike, self._above = prototypes.order, nearest, alike, above
        return Likeness(pairs, alike[one].astype(np.float64), above[one])

    def _followed(self, prototypes: Prototypes) -> tuple[NDArray[np.int64], NDArray[np.float32], Score]:
        """The row of the most similar class, its score, and `Likeness.above` of both, NaN where it is not known."""
        before = prototypes.order.rows_in(self._order)
        now = np.full(len(self._nearest), -1)  # the row of each class of before; -1 if it is gone
        now[before[before >= 0]] = np.flatnonzero(before >= 0)
        nearest = taken_over(taken_over(now, self._nearest), before)
        alike, above = taken_over(self._alike, before), taken_over(self._above, before)
        fresh = np.flatnonzero((before < 0) | (nearest < 0) | np.isneginf(alike))
        nearest[fresh], alike[fresh], above[fresh] = fresh, -np.inf, np.nan
        for start in range(0, len(fresh), COMPARED_AT_ONCE):
            some = fresh[start : start + COMPARED_AT_ONCE]
            scores = prototypes.rows.scores_many(prototypes.rows.matrix[some])
            scores[np.arange(len(some)), some] = -np.inf
            nearest[some], alike[some] = scores.argmax(axis=1), scores.max(axis=1)
            nearer = scores.max(axis=0) > alike
            nearest[nearer], alike[nearer] = some[scores[:, nearer].argmax(axis=0)], scores[:, nearer].max(axis=0)
            above[nearer] = np.nan
        return nearest, alike, above


def find_twins(
    cross: CrossScores, likeness: Likeness, twin: float, base: Callable[[Strangers], float]
) -> NDArray[np.int64]:
    """Find the twins of a gallery.

    Args:
        cross: How its classes score against each other.
        likeness: Of the pairs of classes that may be twins.
        twin: The score between prototypes that is rare between different things.
        base: The score above the offset that is needed at TWIN_RATE where classes score like these.

    Returns:
        Pairs of rows, the lower one first: `int [T, 2]`.
    """
    certain = likeness.alike >= twin
    twins, sampled, needed = [likeness.pairs[certain]], set(cross.owner.tolist()), None
    pairs, above = likeness.pairs[~certain], likeness.above[~certain]
    for at in np.argsort(-above, kind="stable"):
        pair = pairs[at : at + 1]
        if needed is None or not sampled.isdisjoint(pair[0].tolist()):  # pairs that were not sampled do not change it
            needed = base(cross.strangers(np.concatenate([*twins, pair])))  # a gallery that holds only one of the two
        if not np.isfinite(needed) or above[at] < needed:
            break
        twins.append(pair)
    return np.concatenate(twins)


class Twins(Mapping[int, tuple[int, ...]]):
    """For each class that has twins, their rows, ascending; from pairs `int [T, 2]` of `n_classes` classes."""

    def __init__(self, pairs: NDArray[np.int64], n_classes: int) -> None:
        both = np.concatenate([pairs, pairs[:, ::-1]])
        self._others = both[np.lexsort((both[:, 1], both[:, 0])), 1]
        self._counts = np.bincount(both[:, 0], minlength=n_classes)
        self._ends = np.cumsum(self._counts)

    def __getitem__(self, row: int) -> tuple[int, ...]:
        if not (count := self._counts[row]):
            raise KeyError(row)
        end = self._ends[row]
        return tuple(self._others[end - count : end].tolist())

    def __iter__(self) -> Iterator[int]:
        return iter(np.flatnonzero(self._counts).tolist())

    def __len__(self) -> int:
        return int(np.count_nonzero(self._counts))


class TwinsOnDemand(Mapping[int, tuple[int, ...]]):
    """For each class of a large gallery that looks like others, their rows; found when a class is asked for.

    Args:
        prototypes: The classes.
        offsets: Of its classes, `float64 [C]`.
        twin: As in `find_twins`.
        needed: The score above the offset from which the shots of one class are given the name of another.
    """

    def __init__(self, prototypes: Prototypes, offsets: Score, twin: float, needed: float) -> None:
        self._prototypes, self._offsets = prototypes, offsets
        self._twin, self._needed = twin, needed if np.isfinite(needed) else np.inf

    def __getitem__(self, row: int) -> tuple[int, ...]:
        pairs = likeness_near(self._prototypes, self._offsets, row)
        found = [pair for pair, (alike, above) in pairs.items() if alike >= self._twin or above >= self._needed]
        if not found:
            raise KeyError(row)
        return tuple(a + b - row for a, b in found)

    def __iter__(self) -> Iterator[int]:
        return (row for row in range(len(self._prototypes.classes)) if row in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def likeness_near(prototypes: Prototypes, offsets: Score, row: int) -> dict[Pair, tuple[float, float]]:
    """`alike` and `above` of a class of a large gallery and each of the few that are the most similar to it."""
    mean = prototypes.classes[row].mean
    near = prototypes.near(mean[None])
    assert near is not None
    near = near[near != row]
    scores, pairs = prototypes.scores(mean, near) if len(near) else np.zeros(0), {}
    for at in np.argsort(-scores)[:COMPARED_NEAR].tolist():
        a, b = sorted((row, int(near[at])))
        pairs[a, b] = float(scores[at]), _above(prototypes, offsets, a, b)
    return pairs


def _above(prototypes: Prototypes, offsets: Score, a: int, b: int) -> float:
    """`Likeness.above` of the classes in two rows."""
    classes = prototypes.classes
    return max(_mean_score(classes[i], classes[j], offsets[j], prototypes) for i, j in ((a, b), (b, a)))


def _mean_score(one: Prototype, other: Prototype, offset: float, prototypes: Prototypes) -> float:
    """The mean score above the offset that a few shots of one class have for another class."""
    shots = one.shots.embeddings[evenly(len(one.shots.ids), COMPARED_SHOTS)]
    return float(Prototypes(prototypes.metric, prototypes.dim, [other]).class_scores(shots).mean() - offset)


def evenly(length: int, n: int) -> NDArray[np.int64]:
    """At most n of `length` rows, evenly spread: `int64 [min(n, length)]`, ascending."""
    return np.arange(length) if length <= n else np.linspace(0, length - 1, n).astype(np.int64)
