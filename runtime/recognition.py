"""The results of enrolling and recognizing, each with its reasons."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class AcceptedFrame:
    """A frame that was stored.

    Attributes:
        index: Index of the frame in the argument of `enroll`.
        shot_id: Id of the shot in the gallery.
    """

    index: int
    shot_id: int


@dataclass(frozen=True)
class RejectedFrame:
    """A frame that was not stored.

    Attributes:
        index: Index of the frame in the argument of `enroll`.
        reason: "too dark", "too bright", "blurred" or "same view".
    """

    index: int
    reason: str


@dataclass(frozen=True)
class Enrollment:
    """The result of one `enroll`.

    Attributes:
        label: The class.
        accepted: Frames that were stored.
        rejected: Frames that were not stored, with the reason.
        advice: Sentences for the person who teaches, the most useful first; empty if nothing can be improved.
    """

    label: str
    accepted: tuple[AcceptedFrame, ...]
    rejected: tuple[RejectedFrame, ...]
    advice: tuple[str, ...]


@dataclass(frozen=True)
class NearestShot:
    """A stored shot of the candidate class, and its score for the frame."""

    shot_id: int
    score: float


@dataclass(frozen=True)
class Recognition:
    """The answer for one frame, with its reasons.

    Attributes:
        label: The class, or None for unknown.
        candidate: The best class, even if it was not accepted; None for an empty gallery.
        score: Score of the candidate, higher is nearer: the cosine, or minus the Euclidean distance; -inf for an empty
            gallery.
        threshold: The score that the candidate had to reach.
        runner_up: The second best class; None if there is none.
        margin: Score minus the score of the runner-up.
        check: "accepted", or the check that failed: "empty gallery", "score", "margin", "nearest shot", "not this".
        nearest: The nearest shots of the candidate.
        timings_ms: Milliseconds by stage: "preprocess", "embed", "match", "total".
        embedding: `float32 [D]`, read-only, for `match` and `reject`. It is left out of repr and JSON.
    """

    label: str | None
    candidate: str | None
    score: float
    threshold: float
    runner_up: str | None
    margin: float
    check: str
    nearest: tuple[NearestShot, ...]
    timings_ms: dict[str, float]
    embedding: NDArray[np.float32] = field(repr=False, compare=False)


def timings_ms(start_s: float, prepared_s: float, embedded_s: float, done_s: float) -> dict[str, float]:
    """Return `Recognition.timings_ms` from the start and the ends of its three stages, in seconds."""
    return {
        "preprocess": (prepared_s - start_s) * 1e3,
        "embed": (embedded_s - prepared_s) * 1e3,
        "match": (done_s - embedded_s) * 1e3,
        "total": (done_s - start_s) * 1e3,
    }


@dataclass(frozen=True)
class ClassSummary:
    """How well a class is known.

    Attributes:
        label: The class.
        n_shots: Number of shots.
        n_views: Number of different views that the shots are worth, because shots of one burst look alike.
        n_bursts: Number of bursts.
        n_negatives: Number of examples of what the class is not.
        head: The head that scores the class.
        promise: A sentence on how many strangers are accepted as this class.
        views_needed: How many views are missing until the stranger rate is kept; 0 if it is kept.
        set_aside: Ids of shots that are outliers of the class and not used.
    """

    label: str
    n_shots: int
    n_views: float
    n_bursts: int
    n_negatives: int
    head: str
    promise: str
    views_needed: int
    set_aside: tuple[int, ...]


@dataclass(frozen=True)
class Change:
    """A recent answer that a negative example would change.

    Attributes:
        index: Index of the answer among those that were examined.
        before: Its label now; None for unknown.
        after: Its label afterwards; None for unknown.
    """

    index: int
    before: str | None
    after: str | None


@dataclass(frozen=True)
class RejectPreview:
    """What a negative example would change in recent answers.

    Attributes:
        of: How many answers were examined.
        changes: The answers that would change.
    """

    of: int
    changes: tuple[Change, ...]
