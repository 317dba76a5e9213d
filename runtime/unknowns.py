"""When to say "unknown": a score that too few strangers reach, and more where a frame looks like other things too.

A frame is accepted if the score of its best class reaches

    threshold = level of the class + weight * (pressure - usual pressure)

Pressure is how much the frame looks like everything else: a soft maximum over the cohort of the other classes and the
bundle's base classes (T-norm, Auckenthaler et al. 2000, "Score normalization", with the log of the mean exponential).

The level comes from the gallery itself: every class in turn plays the stranger to all others, and so do rejected frames
and sampled background. While those are few it is blended with the bundle's table. It differs by class: one whose shots
agree well, each with the mean of the other bursts, asks for more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from runtime.heads import Head
from runtime.prior import Prior
from runtime.prototypes import Prototype, Prototypes

MAX_DISTANCE_RATIO = 0.95  # to the runner-up (Lowe 2004, "Distinctive Image Features", section 7.1)
TEMPERATURE = 0.1  # of the soft maximum, in units of the bundle's scale
BETA = 0.5  # how much pressure counts with a large cohort
COHORT = 5  # a cohort of so many others counts half: few say little
PRIOR = 0.3  # what the table counts, where C classes count (C - 2) squared: two cannot tell how alike things are
SAMPLES_PER_CLASS = 10  # so many rejected or sampled frames count like a class
AGREEMENT = 0.3  # how much of a class's deviation in agreement its level takes over
AGREEMENT_SHOTS = 5  # as many shots speak for the average class
MAX_PROBES = 512  # shots that play the stranger, spread evenly over the gallery


@dataclass(frozen=True)
class Pressure:
    """How much more a frame is asked for because it looks like other things.

    temperature: of the soft maximum.  weight: what a unit of pressure costs.  usual: the pressure that costs nothing.
    """

    temperature: float
    weight: float
    usual: float

    def cost(self, others: NDArray[np.float32]) -> float:
        """For one frame. others: `float32 [M]`, its scores against everything, one of them -inf: its own class."""
        top = float(others.max())
        if top == -math.inf:  # nothing else is known
            return 0.0
        total = float(np.exp((others - top) / self.temperature).sum())
        return self.weight * (top + self.temperature * math.log(total / (len(others) - 1)) - self.usual)

    def costs(self, others: NDArray[np.float32]) -> NDArray[np.float64]:
        """For many, `float32 [N, M]`."""
        pressures = soft_maxima(others, self.temperature)
        return self.weight * (np.where(np.isfinite(pressures), pressures, self.usual) - self.usual)


@dataclass(frozen=True, eq=False)
class Acceptance:
    """What one gallery demands.

    levels: `float64 [C]`, the score each class demands at the usual pressure.  nearest: that of the nearest shot.
    views: how many different photographs each class is worth.  samples: rejected and sampled frames that spoke too.
    """

    levels: NDArray[np.float64]
    pressure: Pressure
    nearest: float
    views: tuple[float, ...]
    samples: int

    def threshold(self, row: int, others: NDArray[np.float32]) -> float:
        """The score that class `row` demands of a frame. others: see `Pressure.cost`."""
        level = float(self.levels[row])
        return level + self.pressure.cost(others) if level > -math.inf else level

    def views_needed(self, row: int, rate: float) -> int:
        """How many more views of other things it takes before `rate` can be promised for a class; 0: it is.

        With n strangers seen, no rate under 1 / (n + 1) can be told from luck (conformal prediction; Vovk et al. 2005).
        Two classes do not show how alike two things can be: only from a third on do they count.
        """
        if rate <= 0:
            return 0 if rate < 0 else 1
        seen = self.samples + (sum(self.views) - self.views[row] if len(self.views) > 2 else 0)
        return max(0, math.ceil(1 / rate - 1e-9) - 1 - int(seen))


def acceptance(prior: Prior, prototypes: Prototypes, head: Head, bank: NDArray[np.float32]) -> Acceptance:
    """Set what a gallery demands. bank: `float32 [S, D]`, sampled frames that show nothing taught."""
    classes = prototypes.classes
    samples = np.concatenate([bank, _rejected(prototypes, head)])
    if len(samples) < SAMPLES_PER_CLASS:  # one would move every level; a rejected frame has its own check
        samples = samples[:0]
    views = tuple(_views(prior, proto) for proto in classes)
    levels = np.array([prior.threshold(n) for n in views])
    probes, own = _probes(prototypes)
    scores = head.scores_many(probes)
    scores[np.arange(len(own)), own] = -np.inf  # the class a probe comes from is not there
    pressure, offsets = _pressure(scores, TEMPERATURE * prior.scale), _agreement(classes)
    seen = _familiarity(scores, prototypes, pressure, offsets)
    if len(classes) > 2:
        seen = seen + _one_more_class(scores, prototypes, pressure, offsets, seen)
    if len(samples):
        seen = np.append(seen, _familiarity(head.scores_many(samples), prototypes, pressure, offsets))
        own = np.append(own, len(classes) + np.arange(len(samples)))
    speaking = max(0, len(classes) - 2) + len(samples) / SAMPLES_PER_CLASS
    worth = sum(views) + len(samples)
    evidence = min(1.0, worth * prior.stranger_rate) * speaking**2
    if evidence and np.isfinite(seen).any():
        promised = worth * (1 - 1 / max(len(classes), 2)) >= 1 / prior.stranger_rate - 1
        found = upper_level(seen, own if promised else np.arange(len(seen)), 1 - prior.stranger_rate)
        table = np.where(np.isfinite(levels), levels, -np.inf)
        share = np.where(np.isfinite(levels), PRIOR, 0) / (PRIOR + evidence)
        levels = share * np.where(np.isfinite(levels), levels, 0) + (1 - share) * found
        if not promised:  # a few views may ask for more than the table, not for less
            levels = np.maximum(levels, table)
    return Acceptance(levels + offsets, pressure, prior.nearest_threshold(), views, len(samples))


def _views(prior: Prior, proto: Prototype) -> float:
    """How many different photographs a class is worth: told by the spread of its shots, but each burst is one."""
    bursts = {burst for burst, kept in zip(proto.shots.bursts, proto.kept, strict=True) if kept}
    return max(float(len(bursts)), prior.views(int(proto.kept.sum()), proto.spread))


def clearly_nearer(score: float, other: float, metric: str) -> bool:
    """Whether a score beats another by the ratio of their distances."""
    return _distance(score, metric) < MAX_DISTANCE_RATIO * _distance(other, metric)


def _probes(prototypes: Prototypes) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Shots that play the stranger `float32 [P, D]` and their classes `int [P]`, the same number of each class."""
    each = max(1, MAX_PROBES // max(1, len(prototypes.classes)))
    rows, own = [], []
    for row, proto in enumerate(prototypes.classes):
        kept = np.flatnonzero(proto.kept)
        chosen = kept[np.linspace(0, len(kept) - 1, min(each, len(kept))).astype(int)]
        rows.append(proto.shots.embeddings[chosen])
        own += [row] * len(chosen)
    return np.concatenate(rows), np.array(own, np.int64)


def _rejected(prototypes: Prototypes, head: Head) -> NDArray[np.float32]:
    """The frames that were rejected, `float32 [m, D]`; not those that look most like another class: they may be it."""
    negatives = [(row, proto.shots.negatives) for row, proto in enumerate(prototypes.classes)]
    kept = [np.zeros((0, prototypes.dim), np.float32)]
    for row, rows in negatives:
        if len(rows):
            best = head.scores_many(rows)[:, : len(prototypes.classes)].argmax(axis=1)
            kept.append(rows[best == row])
    return np.concatenate(kept)


def soft_maxima(scores: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """The log of the mean exponential of each row; -inf entries do not count, and a row of nothing else is -inf."""
    top = scores.max(axis=1, initial=-np.inf)
    safe = np.where(np.isfinite(top), top, 0)
    totals = np.exp((scores - safe[:, None]) / temperature).sum(axis=1)
    counts = np.maximum(np.isfinite(scores).sum(axis=1), 1)
    with np.errstate(divide="ignore"):
        return np.asarray(safe + temperature * np.log(totals / counts))


def _pressure(scores: NDArray[np.float32], temperature: float) -> Pressure:
    """Learn the usual pressure from shots `float32 [P, C + B]` whose own class is -inf."""
    pressures = soft_maxima(scores, temperature)
    usual = pressures[np.isfinite(pressures)]
    cohort = scores.shape[1] - 1
    return Pressure(temperature, BETA * cohort / (cohort + COHORT), float(usual.mean()) if len(usual) else 0.0)


def _familiarity(
    scores: NDArray[np.float32], prototypes: Prototypes, pressure: Pressure, offsets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The level, before the classes' offsets, at which each stranger would just be accepted.

    -inf for one that another check refuses.
    """
    scores, rows = scores.copy(), np.arange(len(scores))
    own = scores[:, : len(prototypes.classes)]
    best = own.argmax(axis=1)
    score = own[rows, best].astype(np.float64)
    own[rows, best] = -np.inf
    near = [clearly_nearer(a, b, prototypes.metric) for a, b in zip(score, own.max(axis=1), strict=True)]
    return np.where(near, score - pressure.costs(scores) - offsets[best], -np.inf)


def _one_more_class(
    scores: NDArray[np.float32],
    prototypes: Prototypes,
    pressure: Pressure,
    offsets: NDArray[np.float64],
    seen: NDArray[np.float64],
) -> float:
    """How much higher a stranger gets because none of the C classes is missing, unlike in the play of a probe.

    Told from what another class less does: taking one of C - 1 away at random matters only if it was the best.
    """
    n_classes = len(prototypes.classes)
    fewer = scores.copy()
    fewer[np.arange(len(scores)), scores[:, :n_classes].argmax(axis=1)] = -np.inf
    less = _familiarity(fewer, prototypes, pressure, offsets)
    both = np.isfinite(seen) & np.isfinite(less)
    return float((seen[both] - less[both]).mean()) / (n_classes - 1) if both.any() else 0.0


def upper_level(values: NDArray[np.float64], groups: NDArray[np.int64], share: float) -> float:
    """What the next stranger stays below with probability `share`, seen these `float64 [n]` of some classes `int [n]`.

    The sample's own quantile, at rank share * (n + 1), is taken further from the mean: the next stranger is of another
    class, and those of one class are alike, so 30 values of 6 classes are fewer than 30 (design effect; Kish 1965).
    For so few, Student's prediction limit lies that much further out than the normal's.
    """
    finite = np.isfinite(values)
    ordered = np.sort(np.where(finite, values, values[finite].min()))
    own = float(np.interp(share * (len(ordered) + 1) - 1, np.arange(len(ordered)), ordered))
    if not 0.5 < share < 1:
        return own
    n = max(_independent(values[finite], groups[finite]), 3.0)
    further = _student(share, n - 1) / NormalDist().inv_cdf(share) * math.sqrt(1 + 1 / n)
    middle = float(values[finite].mean())
    return middle + max(0.0, own - middle) * further


def _independent(values: NDArray[np.float64], groups: NDArray[np.int64]) -> float:
    """How many independent values grouped ones are worth, by their intraclass correlation."""
    _, index, counts = np.unique(groups, return_inverse=True, return_counts=True)
    n, n_groups, total = len(values), len(counts), float(values.var())
    if n <= n_groups or total <= 0:
        return float(n)
    means = np.bincount(index, values) / counts
    within = float(((values - means[index]) ** 2).sum()) / (n - n_groups)
    correlation = min(1.0, max(0.0, 1 - within / (float(values.var(ddof=1)))))
    return n / (1 + (n / n_groups - 1) * correlation)


def _student(share: float, df: float) -> float:
    """The quantile of Student's t (Cornish and Fisher's expansion; good to 1 % from 3 degrees of freedom on)."""
    z = NormalDist().inv_cdf(share)
    return z + (z**3 + z) / (4 * df) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2)


def _agreement(classes: Sequence[Prototype]) -> NDArray[np.float64]:
    """How much more or less each class asks for than the average one."""
    values = np.array([proto.agreement for proto in classes])
    if not np.isfinite(values).any():
        return np.zeros(len(classes))
    deviation = np.where(np.isfinite(values), values - np.nanmean(values), 0)
    counts = np.array([proto.kept.sum() for proto in classes])
    return np.asarray(AGREEMENT * deviation * counts / (counts + AGREEMENT_SHOTS))


def _distance(score: float, metric: str) -> float:
    return max(0.0, 1 - score if metric == "cosine" else -score)  # the cosine of equal vectors may round to over 1
