"""Which classes look alike, so that they may be one thing under two names.

Two classes are twins if their prototypes are as similar as is rare between different things, or if the shots of one of
them would mostly be given the name of the other in a gallery that holds only one of the two. The second test adapts to
the gallery: two photographs of one mug on different days are alike beside a bicycle and a keyboard, and so are not all
the apples of a shop.

D: embedding size.  C: classes.  S: sampled shots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.matching.prototypes import Prototype, Prototypes

TWIN_RATE = 0.01  # the stranger rate at which the shots of one class would be given the name of the other
COMPARED_SHOTS = 4  # of a class, that are compared with another class
COMPARED_AT_ONCE = 64  # classes, so that a large gallery takes little memory
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
        above: Scores above the offset of each class, `float64 [S, C]`; -inf for the class of the shot.
        owner: The class of each shot, `int [S]`.
        bursts: How many bursts the gallery holds.
    """

    above: Score
    owner: NDArray[np.int64]
    bursts: int

    def strangers(self, twins: Iterable[Pair] = ()) -> Strangers:
        """How the classes score against each other. Twins are not strangers to each other."""
        above = self.above.copy()
        for a, b in twins:
            above[self.owner == a, b] = above[self.owner == b, a] = -np.inf
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
    each = max(2, min(SAMPLED_SHOTS, MAX_SAMPLED // len(classes)))
    rows = np.unique(np.linspace(0, len(classes) - 1, min(len(classes), MAX_CLASSES)).astype(int))
    shots = [_evenly(classes[row].shots.embeddings, each) for row in rows]
    owner = np.repeat(rows, [len(some) for some in shots])
    above = prototypes.class_scores(np.concatenate(shots)) - offsets
    above[np.arange(len(owner)), owner] = -np.inf
    return CrossScores(above, owner, sum(len(set(proto.shots.bursts)) for proto in classes))


class Resemblance:
    """How much the classes of a gallery look like each other; only what a new class changes is computed.

    Attributes:
        above: The mean score above the offset that shots of one class of a pair have for the other, of the two
            directions the higher one, `float32 [C, C]`; -inf on the diagonal.
        alike: The score of one prototype for the other, `float32 [C, C]`.
    """

    def __init__(self) -> None:
        self._classes: tuple[Prototype, ...] = ()
        self._directed = self.alike = np.zeros((0, 0), np.float32)

    def update(self, prototypes: Prototypes, offsets: Score) -> None:
        """Follow a gallery. offsets: of its classes, `float64 [C]`."""
        classes = prototypes.classes
        known = {id(proto): row for row, proto in enumerate(self._classes)}
        before = np.array([known.get(id(proto), -1) for proto in classes])
        old, fresh = np.flatnonzero(before >= 0), np.flatnonzero(before < 0)
        directed, alike = (np.full((len(classes), len(classes)), -np.inf, np.float32) for _ in range(2))
        for matrix, previous in ((directed, self._directed), (alike, self.alike)):
            matrix[np.ix_(old, old)] = previous[np.ix_(before[old], before[old])]
        for some in np.array_split(fresh, -(-len(fresh) // COMPARED_AT_ONCE) or 1):
            if len(some):
                directed[some] = _mean_scores([classes[row] for row in some], prototypes, offsets)
        if len(fresh):
            new = Prototypes(prototypes.metric, prototypes.dim, [classes[row] for row in fresh])
            alike[:, fresh] = new.rows.scores_many(prototypes.rows.matrix)
            alike[fresh] = alike[:, fresh].T
            if len(old):
                directed[np.ix_(old, fresh)] = _mean_scores([classes[row] for row in old], new, offsets[fresh])
        np.fill_diagonal(directed, -np.inf)
        self._classes, self._directed, self.alike = classes, directed, alike
        self.above = np.maximum(directed, directed.T)


def find_twins(
    cross: CrossScores, resemblance: Resemblance, twin: float, base: Callable[[Strangers], float]
) -> set[Pair]:
    """Find the twins of a gallery.

    Args:
        cross: How its classes score against each other.
        resemblance: How much they look like each other.
        twin: The score between prototypes that is rare between different things.
        base: The score above the offset that is needed at TWIN_RATE where classes score like these.

    Returns:
        Pairs of rows, the lower one first.
    """
    alike = resemblance.alike >= twin
    np.fill_diagonal(alike, False)
    twins, sampled = _pairs(alike), np.unique(cross.owner)
    left = np.where(alike, -np.inf, resemblance.above)[sampled]
    while left.size and np.isfinite(highest := left.max()):
        at, other = np.unravel_index(int(left.argmax()), left.shape)
        pair = min(sampled[at], other).item(), max(sampled[at], other).item()
        needed = base(cross.strangers(twins | {pair}))  # a gallery that holds only one of the two
        if not np.isfinite(needed) or highest < needed:
            break
        twins.add(pair)
        left[sampled == pair[0], pair[1]] = left[sampled == pair[1], pair[0]] = -np.inf
    needed = base(cross.strangers(twins))
    return twins | _pairs(resemblance.above >= needed) if np.isfinite(needed) else twins


def _pairs(where: NDArray[np.bool_]) -> set[Pair]:
    return {(int(a), int(b)) for a, b in zip(*np.nonzero(np.triu(where, 1)), strict=True)}


def _mean_scores(some: list[Prototype], prototypes: Prototypes, offsets: Score) -> NDArray[np.float32]:
    """The mean score above the offset of a few shots of these classes for all, `float32 [len(some), C]`."""
    shots = [_evenly(proto.shots.embeddings, COMPARED_SHOTS) for proto in some]
    starts = np.cumsum([0, *(len(rows) for rows in shots[:-1])])
    scores = prototypes.class_scores(np.concatenate(shots)) - offsets
    counts = np.array([len(rows) for rows in shots])[:, None]
    return np.asarray(np.add.reduceat(scores, starts, axis=0) / counts, np.float32)


def _evenly(rows: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    return np.asarray(rows[np.unique(np.linspace(0, len(rows) - 1, n).astype(int))])
