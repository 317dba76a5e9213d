"""Why an answer is what it is, in sentences a person can check against the pictures beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from runtime.errors import GalleryCorrupt, InvalidShot
from runtime.gallery import Gallery
from runtime.recognition import Recognition

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
