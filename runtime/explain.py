"""Explanations for people: why an answer was given, how well each class is known, what a rejection would change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from runtime.errors import GalleryCorrupt, InvalidShot
from runtime.gallery import Gallery
from runtime.matching.matcher import ACCEPTED, Match, Matcher
from runtime.matching.prototypes import Rows
from runtime.recognition import Change, ClassSummary, Recognition, RejectPreview
from runtime.stream.recent_answers import RecentAnswer

WHY_NOT = {
    "score": "It is {short:.2f} short: too many strangers look this much like {candidate!r}.",
    "margin": "It is about as near to {runner_up!r}: show both again, from where they differ.",
    "background": "It is as near to things in general as to what was taught.",
    "nearest shot": "No single shot of {candidate!r} is near: this view was never shown.",
    "not this": 'It is nearer to a frame marked "not {candidate}" than to any shot of it.',
}


@dataclass(frozen=True, eq=False)
class Reason:
    """One stored shot the frame was compared with.  crop: JPEG, None in privacy mode.  time_s: unix, when shown."""

    shot_id: int
    score: float
    source: str
    time_s: float
    crop: bytes | None = field(repr=False)


@dataclass(frozen=True, eq=False)
class Explanation:
    """Everything behind a Recognition.  nearest: shots of the candidate, nearest first.  sentences: for people."""

    recognition: Recognition
    nearest: tuple[Reason, ...]
    sentences: tuple[str, ...]


def explain(recognition: Recognition, gallery: Gallery) -> Explanation:
    """Explain an answer with what the gallery still holds; shots forgotten since are left out."""
    nearest = []
    for near in recognition.nearest:
        try:
            record, crop = gallery.shot(near.shot_id), gallery.crop(near.shot_id)
        except (InvalidShot, GalleryCorrupt):
            continue
        nearest.append(Reason(near.shot_id, near.score, record.source, record.time_s, crop))
    return Explanation(recognition, tuple(nearest), tuple(sentences(recognition)))


def sentences(r: Recognition) -> Iterator[str]:
    """Say in plain words what was decided, by what, and how near it was."""
    if r.candidate is None:
        yield "Nothing has been taught yet, so everything is unknown."
        return
    verdict = f"This is {r.label!r}" if r.label is not None else f"Unknown; the nearest class is {r.candidate!r}"
    yield f"{verdict}: it scores {r.score:.2f} where {r.threshold:.2f} is asked for."
    if r.check in WHY_NOT:
        short = r.threshold - r.score
        yield WHY_NOT[r.check].format(candidate=r.candidate, runner_up=r.runner_up, short=short)
    if r.runner_up is not None:
        yield f"The runner-up is {r.runner_up!r}, {r.margin:.2f} behind."
    if r.nearest:
        yield f"The most similar shot is number {r.nearest[0].shot_id}, with {r.nearest[0].score:.2f}."


def summaries(matcher: Matcher, stranger_rate: float | None) -> list[ClassSummary]:
    """Sum up every class of a gallery."""
    return [_summary(matcher, row, stranger_rate) for row in range(len(matcher.prototypes.classes))]


def _summary(matcher: Matcher, row: int, stranger_rate: float | None) -> ClassSummary:
    proto, demands = matcher.prototypes.classes[row], matcher.acceptance
    shots = proto.shots
    promise, needed, views = "nothing: a closed set accepts every stranger", 0, float(len(shots.ids))
    if stranger_rate is not None and demands:
        rate = f"{100 * stranger_rate:g} %"
        needed, views = demands.views_needed(row, stranger_rate), float(demands.views[row])
        promise = f"{needed} more views of other things for {rate}" if needed else f"≤ {rate} of strangers"
    return ClassSummary(
        label=shots.label,
        n_shots=len(shots.ids),
        n_views=views,
        n_bursts=len(set(shots.bursts)),
        n_negatives=len(shots.negatives),
        head=matcher.head.name if matcher.head else "mean",
        promise=promise,
        views_needed=needed,
        set_aside=proto.set_aside,
    )


def preview_reject(
    matcher: Matcher, after: Matcher, row: int, negative: NDArray[np.float32], answers: Sequence[RecentAnswer]
) -> RejectPreview:
    """Compare answers as they are with what they are after `negative`, `float32 [D]`, was rejected for class `row`."""
    if not answers or matcher.acceptance is None or after.acceptance is None:  # a closed set takes no no
        return RejectPreview(len(answers), ())
    embeddings = np.stack([answer.recognition.embedding for answer in answers])
    scored = matcher.scored(embeddings)
    passed, still = (demands.passes(*scored) for demands in (matcher.acceptance, after.acceptance))
    metric, own = matcher.prototypes.metric, np.flatnonzero(passed & (scored[0] == row))
    nearest = Rows(matcher.prototypes.classes[row].shots.embeddings, metric).scores_many(embeddings[own]).max(axis=1)
    refused = Rows(negative[None], metric).scores_many(embeddings[own])[:, 0]
    suspects = np.union1d(np.flatnonzero(passed != still), own[refused >= nearest - 1e-3])
    changes = []
    for index in suspects:
        was, will = (_label(view, view.decide(embeddings[index])) for view in (matcher, after))
        if was != will:
            changes.append(Change(int(index), was, will))
    return RejectPreview(len(answers), tuple(changes))


def _label(matcher: Matcher, match: Match) -> str | None:
    return matcher.prototypes.classes[match.row].shots.label if match.check == ACCEPTED else None
