"""Which classes look alike, so that they may be one thing under two names.

Two classes are twins if their prototypes are as similar as is rare between different things, or if the shots of one of
them would mostly be given the name of the other in a gallery that holds only one of the two. The second test adapts to
the gallery: two photographs of one mug on different days are alike beside a bicycle and a keyboard, and so are not all
the apples of a shop.

D: embedding size.  C: classes.  S: sampled shots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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

    def strangers(self, twins: Iterable[Pair] = ()) -> Strangers:
        """How the classes score against each other. Twins are not strangers to each other."""
        above = self.above.copy()
        for a, b in twins:
            above[np.ix_(self.owner == a, self.columns == b)] = -np.inf
            above[np.ix_(self.owner == b, self.columns == a)] = -np.inf
        best, weight = above.max(axis=1), 1 / np.bincount(self.owner)[self.owner]
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
    rows = np.unique(np.linspace(0, len(classes) - 1, min(len(classes), MAX_CLASSES)).astype(int))
    shots = [_evenly(classes[row].shots.embeddings, each) for row in rows]
    owner, together = np.repeat(rows, [len(some) for some in shots]), np.concatenate(shots)
    near = prototypes.near(together)
    columns = np.arange(len(classes)) if near is None else np.union1d(near, rows)
    above = prototypes.class_scores(together, None if near is None else columns) - offsets[columns]
    above[np.arange(len(owner)), np.searchsorted(columns, owner)] = -np.inf
    return CrossScores(above, owner, sum(len(set(proto.shots.bursts)) for proto in classes), columns)


@dataclass(frozen=True)
class Likeness:
    """How much two classes look like each other.

    Attributes:
        alike: The score of one prototype for the other.
        above: The mean score above the offset that shots of one of them have for the other, of both directions the
            higher one.
    """

    alike: float
    above: float


class Nearest:
    """The most similar other class of each class of a gallery; only what a new class changes is computed."""

    def __init__(self) -> None:
        self._nearest: dict[int, tuple[Prototype, Prototype, float]] = {}  # by the id of the first one
        self._above: dict[tuple[int, int], float] = {}  # by the ids of two prototypes of `_nearest`

    def update(self, prototypes: Prototypes, offsets: Score) -> dict[Pair, Likeness]:
        """Follow a gallery.

        Args:
            prototypes: Its classes.
            offsets: Of its classes, `float64 [C]`.

        Returns:
            For each pair of rows of which one is the most similar to the other: how alike they are.
        """
        classes = prototypes.classes
        nearest, alike = self._nearest_rows(prototypes)
        self._nearest = {
            id(one): (one, classes[row], score)
            for one, row, score in zip(classes, nearest.tolist(), alike.tolist(), strict=True)
        }
        above, self._above, pairs = self._above, {}, {}
        for one, (a, score) in enumerate(zip(nearest.tolist(), alike.tolist(), strict=True)):
            a, b = min(a, one), max(a, one)
            if a == b or (a, b) in pairs:
                continue
            key = id(classes[a]), id(classes[b])
            if key not in above:
                above[key] = _above(prototypes, offsets, a, b)
            self._above[key] = above[key]
            pairs[a, b] = Likeness(score, above[key])
        return pairs

    def _nearest_rows(self, prototypes: Prototypes) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The row of the most similar class and its score: `int64 [C]`, `float32 [C]`."""
        classes = prototypes.classes
        rows = {id(proto): row for row, proto in enumerate(classes)}
        nearest, alike = np.arange(len(classes)), np.full(len(classes), -np.inf, np.float32)
        for row, proto in enumerate(classes):
            _, other, score = self._nearest.get(id(proto), (None, None, -np.inf))
            if id(other) in rows:
                nearest[row], alike[row] = rows[id(other)], score
        fresh = np.flatnonzero(np.isneginf(alike))
        for start in range(0, len(fresh), COMPARED_AT_ONCE):
            some = fresh[start : start + COMPARED_AT_ONCE]
            scores = prototypes.rows.scores_many(prototypes.rows.matrix[some])
            scores[np.arange(len(some)), some] = -np.inf
            nearest[some], alike[some] = scores.argmax(axis=1), scores.max(axis=1)
            nearer = scores.max(axis=0) > alike
            nearest[nearer], alike[nearer] = some[scores[:, nearer].argmax(axis=0)], scores[:, nearer].max(axis=0)
        return nearest, alike


def find_twins(
    cross: CrossScores, pairs: Mapping[Pair, Likeness], twin: float, base: Callable[[Strangers], float]
) -> set[Pair]:
    """Find the twins of a gallery.

    Args:
        cross: How its classes score against each other.
        pairs: The rows of classes that may be twins.
        twin: The score between prototypes that is rare between different things.
        base: The score above the offset that is needed at TWIN_RATE where classes score like these.

    Returns:
        Pairs of rows, the lower one first.
    """
    twins = {pair for pair, likeness in pairs.items() if likeness.alike >= twin}
    sampled, needed = set(cross.owner.tolist()), None
    for pair, likeness in sorted(pairs.items(), key=lambda item: -item[1].above):
        if pair in twins:
            continue
        if needed is None or not sampled.isdisjoint(pair):  # pairs that were not sampled do not change it
            needed = base(cross.strangers(twins | {pair}))  # a gallery that holds only one of the two
        if not np.isfinite(needed) or likeness.above < needed:
            break
        twins.add(pair)
    return twins


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
        found = [pair for pair, one in pairs.items() if one.alike >= self._twin or one.above >= self._needed]
        if not found:
            raise KeyError(row)
        return tuple(a + b - row for a, b in found)

    def __iter__(self) -> Iterator[int]:
        return (row for row in range(len(self._prototypes.classes)) if row in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def likeness_near(prototypes: Prototypes, offsets: Score, row: int) -> dict[Pair, Likeness]:
    """How much a class of a large gallery looks like the few that are the most similar to it."""
    mean = prototypes.classes[row].mean
    near = prototypes.near(mean[None])
    assert near is not None
    near = near[near != row]
    scores, pairs = prototypes.scores(mean, near), {}
    for at in np.argsort(-scores)[:COMPARED_NEAR].tolist():
        a, b = sorted((row, int(near[at])))
        pairs[a, b] = Likeness(float(scores[at]), _above(prototypes, offsets, a, b))
    return pairs


def _above(prototypes: Prototypes, offsets: Score, a: int, b: int) -> float:
    """`Likeness.above` of the classes in two rows."""
    classes = prototypes.classes
    return max(_mean_score(classes[i], classes[j], offsets[j], prototypes) for i, j in ((a, b), (b, a)))


def _mean_score(one: Prototype, other: Prototype, offset: float, prototypes: Prototypes) -> float:
    """The mean score above the offset that a few shots of one class have for another class."""
    shots = _evenly(one.shots.embeddings, COMPARED_SHOTS)
    return float(Prototypes(prototypes.metric, prototypes.dim, [other]).class_scores(shots).mean() - offset)


def _evenly(rows: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    return np.asarray(rows[np.unique(np.linspace(0, len(rows) - 1, n).astype(int))])
