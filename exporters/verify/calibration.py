"""The table from which a device tells strangers, made from things that no gallery will hold.

Galleries are simulated: K things are enrolled and frames of other things are strangers. The table keeps, for several K
and rates, which best score strangers reach. The rule that reads the table, `runtime/matching/acceptance.py`, also makes
it. While a gallery is simulated, neither its things nor the stranger are in the cohort, as on a device.

Things come from clips (enrolments of 0.5, 1.5 and 3 seconds, each one burst) and from photographs (enrolments of 1, 3
and 5 photographs, each a burst). A domain is a set of things that a person could meet together, such as one data set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.errors import ExportError
from runtime.gallery import ClassShots
from runtime.matching.acceptance import class_offsets, level, missed_by_few
from runtime.matching.prototypes import Prototype, Prototypes, Rows, prototype
from runtime.matching.twins import Strangers, cross_scores

CLIPS = "clips"
SIZES = (1, 2, 3, 5, 10, 20, 40)  # classes of a simulated gallery
RATES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
GALLERIES = 40  # of each domain and size
STRANGERS = 25  # things that are strangers to each gallery
CLIP_WEIGHT = 0.25  # of all clips together, beside all photographs
CLIP_ENROLMENTS_S = (0.5, 1.5, 3.0)
PHOTO_ENROLMENTS = (1, 3, 5)
PROBES = 6  # photographs of a thing that are recognised
COHORT_FRAMES = 8  # of each clip
SAME_THING = 0.999  # quantile of the scores between prototypes of different things
CAP = 0.95  # quantile of the scores of known frames that no threshold exceeds
DECILES = np.linspace(0.1, 0.9, 9)  # so that every thing counts the same
LATER_S = 1.0  # from the enrolment to the frames that show how far a thing changes


@dataclass(frozen=True, eq=False)
class Thing:
    """One thing that is taught or is a stranger in simulated galleries.

    Attributes:
        domain: The set it belongs to; galleries hold things of one domain.
        group: Its name; things of one group are the same thing.
        enrolments: Each a list of bursts, `float32 [n, D]` each.
        probes: Embeddings that are recognised, `float32 [P, D]`.
        later: Embeddings of it at another moment than each enrolment, `float32 [L, D]` each.
        cohort: Its vectors in the cohort, `float32 [B, D]`.
    """

    domain: str
    group: str
    enrolments: list[list[NDArray[np.float32]]]
    probes: NDArray[np.float32]
    later: list[NDArray[np.float32]]
    cohort: NDArray[np.float32]


def thing_of_clip(group: str, embeddings: NDArray[np.float32], times_s: NDArray[np.float64]) -> Thing:
    """A thing seen in a clip: embeddings `float32 [N, D]` at times in seconds from its start."""
    taught = [times_s <= hold for hold in CLIP_ENROLMENTS_S if times_s[-1] >= hold]
    later = [embeddings[times_s > times_s[some].max() + LATER_S] for some in taught]
    cohort = embeddings[np.unique(np.linspace(0, len(embeddings) - 1, COHORT_FRAMES).astype(int))]
    return Thing(CLIPS, group, [[embeddings[some]] for some in taught], embeddings[::4], later, cohort)


def things_of_photos(
    embeddings: NDArray[np.float32], kinds: Sequence[str], domains: Sequence[str], *, seed: int = 0
) -> list[Thing]:
    """The kinds of things on photographs.

    Args:
        embeddings: `float32 [N, D]`.
        kinds: The kind on each photograph.
        domains: The data set that each photograph is from.
        seed: Of the choice of photographs.
    """
    rng, things = np.random.default_rng(seed), []
    names = np.array([f"{domain}/{kind}" for domain, kind in zip(domains, kinds, strict=True)])
    for name in np.unique(names):
        rows = rng.permutation(np.flatnonzero(names == name))
        most = max(PHOTO_ENROLMENTS)
        if len(rows) <= most:
            continue
        enrolments = [[embeddings[i : i + 1] for i in rows[:n]] for n in PHOTO_ENROLMENTS]
        probes = embeddings[rows[most : most + PROBES]]
        domain = domains[int(rows[0])]
        things.append(Thing(domain, str(name), enrolments, probes, [probes] * len(enrolments), embeddings[rows[:1]]))
    return things


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a bundle needs to tell strangers.

    Attributes:
        table: The manifest's `calibration`.
        cohort: `float32 [B, D]`.
    """

    table: dict[str, Any]
    cohort: NDArray[np.float32]


def calibrate(things: Sequence[Thing], *, metric: str, seed: int = 0) -> Calibration:
    """Make the table and the cohort of a bundle.

    Args:
        things: See `thing_of_clip` and `things_of_photos`.
        metric: "cosine" or "euclidean".
        seed: Of the simulated galleries.

    Raises:
        ExportError: There are fewer than four different things of one domain.
    """
    cohort = np.concatenate([thing.cohort for thing in things] or [np.zeros((0, 1), np.float32)])
    simulated = list(_simulate(things, cohort, metric, np.random.default_rng(seed)))
    if not simulated:
        raise ExportError(
            f"a calibration table needs at least four different things of one domain, but got {len(things)} things; "
            "add clips or class folders, or pack without a table"
        )
    table: dict[str, Any] = {"rates": list(RATES), "sizes": [], "mean": [], "excess": []}
    for size in SIZES:
        some = [one for one in simulated if one.size == size]
        if some:
            usual, excess = _row(some)
            table["sizes"].append(size)
            table["mean"].append(round(usual, 5))
            table["excess"].append([round(value, 5) for value in excess])
    facts = {
        "version": 2,
        "things": len({thing.group for thing in things}),
        "cap": round(_cap(things, metric), 5),
        "twin": round(_twin(things, metric), 5),
        **table,
    }
    return Calibration(facts, cohort)


@dataclass(frozen=True, eq=False)
class _Simulated:
    """One simulated gallery.  own: of `CrossScores`.  floor: of `missed_by_few`.  best: of strangers, `[N]`."""

    domain: str
    size: int
    own: Strangers
    floor: float
    best: NDArray[np.float64]


def _simulate(
    things: Sequence[Thing], cohort: NDArray[np.float32], metric: str, rng: np.random.Generator
) -> Iterator[_Simulated]:
    """Galleries of every domain and size that has enough things."""
    group = np.array([thing.group for thing in things])
    cohort_group = np.repeat(group, [len(thing.cohort) for thing in things])
    protos = [[_class(thing, enrolment, metric) for enrolment in thing.enrolments] for thing in things]
    dim = cohort.shape[1]
    against = [[Prototypes(metric, dim, [one]).class_scores(cohort)[:, 0] for one in some] for some in protos]
    for domain in sorted({thing.domain for thing in things}):
        members = [i for i, thing in enumerate(things) if thing.domain == domain]
        names = np.unique(group[members])
        for size in SIZES:
            for _ in range(GALLERIES if len(names) >= 1.5 * size + 1 and len(names) > 3 else 0):
                order = rng.permutation(names)
                enrolment = int(rng.integers(max(len(things[i].enrolments) for i in members)))
                chosen = [int(rng.choice([i for i in members if group[i] == name])) for name in order[:size]]
                at = [min(enrolment, len(protos[i]) - 1) for i in chosen]
                prototypes = Prototypes(metric, dim, [protos[i][j] for i, j in zip(chosen, at, strict=True)])
                scores = np.stack([against[i][j] for i, j in zip(chosen, at, strict=True)])
                scores[group[chosen][:, None] == cohort_group] = -np.inf
                offsets = class_offsets(scores)
                best = [
                    (prototypes.class_scores(things[i].probes) - _without(scores, cohort_group == name)).max(axis=1)
                    for name in order[size : size + STRANGERS]
                    for i in members
                    if group[i] == name
                ]
                own, floor = cross_scores(prototypes, offsets).strangers(), missed_by_few(prototypes, offsets)
                yield _Simulated(domain, size, own, floor, np.concatenate(best))


def _class(thing: Thing, enrolment: list[NDArray[np.float32]], metric: str) -> Prototype:
    """A class taught from an enrolment."""
    rows = np.concatenate(enrolment)
    bursts = tuple(str(i) for i, burst in enumerate(enrolment) for _ in burst)
    none = np.zeros((0, rows.shape[1]), np.float32)
    ids = np.arange(len(rows))
    return prototype(ClassShots(thing.group, ids, rows, bursts, np.ones(len(rows), np.float32), none), metric)


def _without(scores: NDArray[np.float64], gone: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The offsets of classes when some vectors are not in the cohort."""
    return class_offsets(np.where(gone, -np.inf, scores))


def _row(some: Sequence[_Simulated]) -> tuple[float, list[float]]:
    """The usual mean, and the excess at each rate, for one size. Clips and photographs have fixed weights."""
    weight = _weights(some)
    means = [one.own.mean if one.size > 1 else one.best.mean() for one in some]
    usual = float(np.average(means, weights=weight))
    above = [np.where(one.best >= one.floor, one.best - level(one.own, usual), -np.inf) for one in some]
    share = np.concatenate([np.full(len(one.best), w / len(one.best)) for one, w in zip(some, weight, strict=True)])
    values = np.concatenate(above)
    order = np.argsort(values)
    reached = np.cumsum(share[order]) / share.sum()
    at = [min(int(np.searchsorted(reached, 1 - rate)), len(order) - 1) for rate in RATES]
    finite = values[np.isfinite(values)]
    return usual, [max(float(values[order][i]), float(finite.min())) for i in at]


def _weights(some: Sequence[_Simulated]) -> NDArray[np.float64]:
    """The weight of each gallery: CLIP_WEIGHT for clips, the rest alike for the domains of photographs."""
    counts: Mapping[str, int] = {d: sum(one.domain == d for one in some) for d in {one.domain for one in some}}
    photos = len(counts) - (CLIPS in counts)
    clips = CLIP_WEIGHT if photos else 1.0
    each = {d: clips if d == CLIPS else (1 - clips * (CLIPS in counts)) / photos for d in counts}
    return np.array([each[one.domain] / counts[one.domain] for one in some])


def _cap(things: Sequence[Thing], metric: str) -> float:
    """The score that one in twenty of the frames of a thing reach at another moment than its enrolment."""
    scores = [
        Prototypes(metric, later.shape[1], [_class(thing, enrolment, metric)]).class_scores(later)[:, 0]
        for thing in things
        for enrolment, later in zip(thing.enrolments, thing.later, strict=True)
        if len(later)
    ]
    return float(np.quantile(np.concatenate([np.quantile(some, DECILES) for some in scores]), CAP))


def _twin(things: Sequence[Thing], metric: str) -> float:
    """The score between prototypes above which two classes are called alike: rare between different things."""
    group = np.array([thing.group for thing in things])
    means = np.stack([_class(thing, thing.enrolments[-1], metric).mean for thing in things])
    highest = float(np.quantile(Rows(means, metric).scores_many(means)[group[:, None] != group], SAME_THING))
    return (1 + 2 * highest) / 3 if metric == "cosine" else highest
