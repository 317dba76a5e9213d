"""Explanations for people: why an answer was given, how well each class is known, what a change would do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from runtime.errors import GalleryCorrupt, InvalidShot
from runtime.gallery import Gallery
from runtime.matching.matcher import Matcher, recognition_of
from runtime.matching.prototypes import Prototype, Prototypes, similarity
from runtime.recognition import Change, ChangePreview, ClassSummary, Recognition, SimilarClass
from runtime.stream.recent_answers import RecentAnswer

ENOUGH_VIEWS = 5  # clearly different views after which a class is called reliable


@dataclass(frozen=True, eq=False)
class Reason:
    """One stored shot that the frame was compared with.

    Attributes:
        shot_id: The shot.
        score: Its score against the frame.
        source: Where the shot came from.
        time_s: When it was stored, in seconds since 1970.
        crop: Its JPEG; None in privacy mode.
    """

    shot_id: int
    score: float
    source: str
    time_s: float
    crop: bytes | None = field(repr=False)


@dataclass(frozen=True, eq=False)
class Explanation:
    """Everything behind a Recognition.

    Attributes:
        recognition: The answer.
        nearest: The nearest shots of the candidate that the gallery still holds, nearest first.
        sentences: The reasons in sentences.
    """

    recognition: Recognition
    nearest: tuple[Reason, ...]
    sentences: tuple[str, ...]


def explain(recognition: Recognition, gallery: Gallery) -> Explanation:
    """Explain an answer with the shots that the gallery still holds."""
    nearest = []
    for near in recognition.nearest:
        try:
            record, crop = gallery.shot(near.shot_id), gallery.crop(near.shot_id)
        except (InvalidShot, GalleryCorrupt):
            continue
        nearest.append(Reason(near.shot_id, near.score, record.source, record.time_s, crop))
    return Explanation(recognition, tuple(nearest), tuple(sentences(recognition)))


def sentences(r: Recognition) -> Iterator[str]:
    """Say in plain sentences what was decided and why."""
    if r.candidate is None:
        yield "Nothing has been taught yet, so everything is unknown."
        return
    yield {
        "sure": f"This is {r.candidate!r}: it scores {r.score:.2f}, and {r.threshold:.2f} is needed.",
        "maybe": f"This may be {r.candidate!r}: it scores {r.score:.2f}, and {r.threshold:.2f} is needed to be sure.",
        "unknown": f"Unknown. The nearest class is {r.candidate!r}, which scores {r.score:.2f} of {r.threshold:.2f}.",
    }[r.certainty]
    if r.check == "twin":
        yield f"{r.candidate!r} and {r.runner_up!r} look alike. If they are the same thing, merge them."
    elif r.check == "not this":
        yield f'It is nearer to a frame marked "not {r.candidate}" than to any shot of {r.candidate!r}.'
    if r.runner_up is not None:
        yield f"The runner-up is {r.runner_up!r}, {r.margin:.2f} behind."
    if r.nearest:
        yield f"The most similar shot is number {r.nearest[0].shot_id}, which scores {r.nearest[0].score:.2f}."


def summaries(matcher: Matcher) -> list[ClassSummary]:
    """Sum up every class of a gallery. Of a large gallery, which of them look alike is not looked up."""
    return [_summary(matcher, row) for row in range(len(matcher.prototypes.classes))]


def similar_classes(matcher: Matcher, row: int) -> tuple[SimilarClass, ...]:
    """The classes that look like the class in this row, the most similar first."""
    classes, metric = matcher.prototypes.classes, matcher.prototypes.metric
    twins = matcher.thresholds.twins.get(row, ()) if matcher.thresholds else ()
    found = [
        SimilarClass(classes[i].shots.label, float(similarity(classes[i].mean[None], classes[row].mean, metric)[0]))
        for i in twins
    ]
    return tuple(sorted(found, key=lambda one: -one.score))


def _summary(matcher: Matcher, row: int) -> ClassSummary:
    proto = matcher.prototypes.classes[row]
    similar = () if matcher.prototypes.large else similar_classes(matcher, row)
    missing = ENOUGH_VIEWS - proto.n_views
    if similar:
        advice = f"looks like {similar[0].label}: merge them if they are the same thing, else show where they differ"
    elif missing > 0:
        advice = f"show it from {missing} more side{'s' if missing > 1 else ''}"
    else:
        advice = "reliable"
    return ClassSummary(
        label=proto.shots.label,
        n_shots=len(proto.shots.ids),
        n_views=proto.n_views,
        n_bursts=len(set(proto.shots.bursts)),
        n_negatives=len(proto.shots.negatives),
        threshold=float(matcher.thresholds.sure[row]) if matcher.thresholds else float("-inf"),
        similar=similar,
        reliable=advice == "reliable",
        advice=advice,
    )


def preview_reject(
    matcher: Matcher, label: str, negative: NDArray[np.float32], answers: Sequence[RecentAnswer]
) -> ChangePreview:
    """What recent answers would become after `negative`, `float32 [D]`, was rejected for a class.

    Args:
        matcher: The gallery as it is now.
        label: The class.
        negative: The embedding that is not this class.
        answers: The recent answers, matched again before and after.
    """

    def rejecting(proto: Prototype) -> Prototype:
        negatives = np.vstack([proto.shots.negatives, negative])
        return replace(proto, shots=replace(proto.shots, negatives=negatives))

    now = matcher.prototypes
    classes = [rejecting(proto) if proto.shots.label == label else proto for proto in now.classes]
    after = replace(matcher, prototypes=Prototypes(now.metric, now.dim, classes, now.index))
    mine = [i for i, answer in enumerate(answers) if answer.recognition.candidate == label]
    return preview(matcher, after, answers, mine)


def preview(
    matcher: Matcher, after: Matcher, answers: Sequence[RecentAnswer], among: Sequence[int] | None = None
) -> ChangePreview:
    """Compare recent answers as one matcher gives them with those of another.

    Args:
        matcher: The gallery as it is now.
        after: The gallery after the change.
        answers: The recent answers.
        among: The indices of those that can change; None for all.
    """
    changes = []
    for index in range(len(answers)) if among is None else among:
        embedding = answers[index].recognition.embedding
        before, later = (_text(view, embedding) for view in (matcher, after))
        if before != later:
            changes.append(Change(index, before, later))
    return ChangePreview(len(answers), tuple(changes))


def _text(matcher: Matcher, embedding: NDArray[np.float32]) -> str:
    return recognition_of(matcher.decide(embedding), matcher.prototypes, {}, embedding).text
