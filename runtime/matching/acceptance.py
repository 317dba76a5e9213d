"""When to say "unknown": a score that too few strangers reach, and more where a frame looks like other things too.

A frame is accepted if the score of its best class reaches

    threshold = level of the class + weight * (pressure - usual pressure)

Pressure is how much the frame looks like everything else: a soft maximum over the cohort of the other classes and the
bundle's base classes (T-norm, Auckenthaler et al. 2000, "Score normalization", with the log of the mean exponential).

The level comes from the gallery itself: every class in turn plays the stranger to all others, and so do rejected frames
and sampled background. While those are few it is blended with the bundle's table. Where things are told apart with room
to spare, it is as high as next to no known frame notices: a few classes do not show what the twin of one scores. It
differs by class: one whose shots agree well, each with the mean of the other bursts, asks for more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime.matching.calibration import Prior
from runtime.matching.heads import Head
from runtime.matching.leave_one_out import left_out_scores, probes_of
from runtime.matching.prototypes import Prototypes
from runtime.matching.quantile import upper_level

MAX_DISTANCE_RATIO = 0.95  # to the runner-up (Lowe 2004, "Distinctive Image Features", section 7.1)
TEMPERATURE = 0.1  # of the soft maximum, in units of the bundle's scale
BETA = 0.5  # how much pressure counts with a large cohort
COHORT = 5  # a cohort of so many others counts half: few say little
PRIOR = 0.3  # what the table counts, where C classes count (C - 2) squared: two cannot tell how alike things are
SAMPLES_PER_CLASS = 10  # so many rejected or sampled frames count like a class
AGREEMENT = 0.3  # how much of a class's deviation in agreement its level takes over
AGREEMENT_SHOTS = 5  # as many shots speak for the average class
FREE = 0.02  # a level that refuses no more than this share of known frames is asked for in any case

Samples = tuple[NDArray[np.float32], NDArray[np.float32]]  # that show nothing taught, `[S, D]`: told so, and passive
NO_SAMPLES: Samples = (np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32))


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
        top = float(others[others.argmax()])
        if top == -math.inf:  # nothing else is known
            return 0.0
        roots = np.exp((others - top) / (2 * self.temperature))
        total = float(roots @ roots)  # their sum by the product a camera's frame has in the caches already
        return self.weight * (top + self.temperature * math.log(total / (len(others) - 1)) - self.usual)

    def costs(self, pressures: NDArray[np.float64]) -> NDArray[np.float64]:
        """For many. pressures: `float64 [N]`, the `soft_maxima` of their scores against everything else."""
        return self.weight * (np.where(np.isfinite(pressures), pressures, self.usual) - self.usual)


@dataclass(frozen=True, eq=False)
class Level:
    """What a gallery as a whole says about strangers.

    found: the level that the asked share of strangers stays below, before the classes' offsets; None: nothing is known.
    evidence: how much that counts beside the table's PRIOR.  promised: whether it may ask for less than the table.
    samples: `float32 [S, D]`, the sampled and rejected frames that spoke too.
    """

    pressure: Pressure
    found: float | None
    evidence: float
    promised: bool
    samples: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Acceptance:
    """What one gallery demands.

    levels: `float64 [C]`, the score each class demands at the usual pressure.  nearest: that of the nearest shot.
    views: `float64 [C]`, how many different photographs each class is worth.  samples: sampled and rejected frames that
    spoke too.
    """

    levels: NDArray[np.float64]
    pressure: Pressure
    nearest: float
    views: NDArray[np.float64]
    samples: int

    def threshold(self, row: int, others: NDArray[np.float32]) -> float:
        """The score that class `row` demands of a frame. others: see `Pressure.cost`."""
        level = float(self.levels[row])
        return level + self.pressure.cost(others) if level > -math.inf else level

    def passes(
        self, best: NDArray[np.int64], score: NDArray[np.float32], pressures: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Whether the scores `[N]` of the best classes are enough; as `Matcher.scored` gives them."""
        return np.asarray(score >= self.levels[best] + self.pressure.costs(pressures))

    def views_needed(self, row: int, rate: float) -> int:
        """How many more views of other things it takes before `rate` can be promised for a class; 0: it is.

        With n strangers seen, no rate under 1 / (n + 1) can be told from luck (conformal prediction; Vovk et al. 2005).
        Two classes do not show how alike two things can be: only from a third on do they count.
        """
        if rate <= 0:
            return 0 if rate < 0 else 1
        seen = self.samples + (float(self.views.sum() - self.views[row]) if len(self.views) > 2 else 0)
        return max(0, math.ceil(1 / rate - 1e-9) - 1 - int(seen))


def level_of(prior: Prior, head: Head, samples: NDArray[np.float32]) -> Level:
    """Learn the level of strangers from the classes of a head and from samples; see `samples_of`."""
    prototypes = head.prototypes
    views = _views(prior, prototypes)
    probes = probes_of(prototypes)
    scores, genuine = left_out_scores(head, probes)  # the class a probe comes from is not there
    own, temperature, offsets = probes.own, TEMPERATURE * prior.scale, _offsets(prototypes)
    pressures = soft_maxima(scores, temperature)
    pressure = _pressure(pressures, scores.shape[1] - 1, temperature)
    seen = _familiarity(scores, prototypes, pressure, offsets)
    n_classes = len(prototypes.classes)
    if n_classes > 2:
        seen = seen + _one_more_class(scores, prototypes, pressure, offsets, seen)
    if len(samples):
        seen = np.append(seen, _familiarity(head.scores_many(samples), prototypes, pressure, offsets))
        own = np.append(own, n_classes + np.arange(len(samples)))
    speaking = max(0, n_classes - 2) + len(samples) / SAMPLES_PER_CLASS
    worth = float(views.sum()) + len(samples)
    evidence = min(1.0, worth * prior.stranger_rate) * speaking**2
    if not evidence or not np.isfinite(seen).any():
        return Level(pressure, None, 0.0, False, samples)
    promised = worth * (1 - 1 / max(n_classes, 2)) >= 1 / prior.stranger_rate - 1
    found = upper_level(seen, own if promised else np.arange(len(seen)), 1 - prior.stranger_rate)
    # Frames of one second know each other too well to say how a frame of tomorrow will score.
    varied = (prototypes.bursts > 1) | (views >= prototypes.counts / 2)
    known = (genuine - pressure.costs(pressures) - offsets[probes.own])[probes.known & varied[probes.own]]
    if len(known):
        found = max(found, float(np.quantile(known, FREE)))
    return Level(pressure, found, evidence, promised, samples)


def acceptance(prior: Prior, prototypes: Prototypes, level: Level) -> Acceptance:
    """Set what each class demands."""
    views = _views(prior, prototypes)
    levels = prior.threshold(views)
    if level.found is not None:
        known = np.isfinite(levels)  # what the table says, if there is one
        share = known * (PRIOR / (PRIOR + level.evidence))
        table = np.where(known, levels, -np.inf)
        levels = share * np.where(known, levels, 0) + (1 - share) * level.found
        if not level.promised:  # a few views may ask for more than the table, not for less
            levels = np.maximum(levels, table)
    offsets = _offsets(prototypes)
    return Acceptance(levels + offsets, level.pressure, prior.nearest_threshold(), views, len(level.samples))


def samples_of(prototypes: Prototypes, head: Head, bank: Samples) -> NDArray[np.float32]:
    """The frames beside the classes that show strangers, `float32 [S, D]`: sampled, told and rejected ones.

    None if they are few: one would move every level, and a rejected frame has its own check. Nor those rejected frames
    that look most like another class, nor those passive samples that look as much like a class as its own shots do:
    they may be it, taught since.
    """
    told, passive = bank
    kept = [told]
    if len(passive):
        scores = head.scores_many(passive)[:, : head.n_classes]
        agreements = prototypes.agreements
        usual = np.nanmean(agreements) if np.isfinite(agreements).any() else -np.inf
        own = np.where(np.isfinite(agreements), agreements, usual)[scores.argmax(axis=1)]
        kept.append(passive[scores.max(axis=1) < own])
    for row, proto in enumerate(prototypes.classes):
        negatives = proto.shots.negatives
        if len(negatives):
            best = head.scores_many(negatives)[:, : head.n_classes].argmax(axis=1)
            kept.append(negatives[best == row])
    samples = np.concatenate([rows for rows in kept if len(rows)] or [prototypes.matrix[:0]])
    return samples if len(samples) >= SAMPLES_PER_CLASS else samples[:0]


def _views(prior: Prior, prototypes: Prototypes) -> NDArray[np.float64]:
    """How many different photographs a class is worth: told by the spread of its shots, but each burst is one."""
    return np.maximum(prototypes.bursts, prior.views(prototypes.counts, prototypes.spreads))


def clearly_nearer(score: ArrayLike, other: ArrayLike, metric: str) -> NDArray[np.bool_]:
    """Whether scores beat others by the ratio of their distances."""
    return np.asarray(_distance(score, metric) < MAX_DISTANCE_RATIO * _distance(other, metric))


def soft_maxima(scores: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """The log of the mean exponential of each row; -inf entries do not count, and a row of nothing else is -inf."""
    top = scores.max(axis=1, initial=-np.inf)
    safe = np.where(np.isfinite(top), top, 0)
    totals = np.exp((scores - safe[:, None]) / temperature).sum(axis=1)
    counts = np.maximum(np.isfinite(scores).sum(axis=1), 1)
    with np.errstate(divide="ignore"):
        return np.asarray(safe + temperature * np.log(totals / counts))


def _pressure(pressures: NDArray[np.float64], cohort: int, temperature: float) -> Pressure:
    """Learn the usual pressure from that on shots `float64 [P]`, each against a cohort of so many others."""
    usual = pressures[np.isfinite(pressures)]
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
    near = clearly_nearer(score, own.max(axis=1), prototypes.metric)
    costs = pressure.costs(soft_maxima(scores, pressure.temperature))
    return np.where(near, score - costs - offsets[best], -np.inf)


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


def _offsets(prototypes: Prototypes) -> NDArray[np.float64]:
    """How much more or less each class asks for than the average one: those whose shots agree ask for more."""
    values, counts = prototypes.agreements, prototypes.counts
    if not np.isfinite(values).any():
        return np.zeros(len(values))
    deviation = np.where(np.isfinite(values), values - np.nanmean(values), 0)
    return np.asarray(AGREEMENT * deviation * counts / (counts + AGREEMENT_SHOTS))


def _distance(score: ArrayLike, metric: str) -> NDArray[np.float64]:
    score = np.asarray(score, np.float64)
    return np.asarray(
        np.maximum(0.0, 1 - score if metric == "cosine" else -score)
    )  # equal vectors' cosine may exceed 1
