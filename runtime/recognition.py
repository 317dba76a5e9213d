"""What the recogniser answers: the result of enrolling, and of recognising, each with its reasons."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AcceptedFrame:
    """index: into the frames handed in.  shot_id: in the gallery, durable once returned."""

    index: int
    shot_id: int


@dataclass(frozen=True)
class RejectedFrame:
    """reason: "too dark", "too bright", "blurred" or "same view"."""

    index: int
    reason: str


@dataclass(frozen=True)
class Enrollment:
    """What became of the frames of one `enroll`.  advice: sentences, most useful first; empty when all is well."""

    label: str
    accepted: tuple[AcceptedFrame, ...]
    rejected: tuple[RejectedFrame, ...]
    advice: tuple[str, ...]


@dataclass(frozen=True)
class NearestShot:
    """A stored shot of the candidate class and its score against the frame."""

    shot_id: int
    score: float


@dataclass(frozen=True)
class Recognition:
    """One answer, and why.

    label: the class, or None for unknown.  candidate: the best class even when it was not accepted.
    score: of the candidate, higher is nearer (cosine, or minus the Euclidean distance); -inf in an empty gallery.
    threshold: the score it had to reach.  runner_up: the second best class.  margin: score minus the runner-up's.
    check: "accepted", or what failed: "empty gallery", "score", "margin", "background",
        "nearest shot", "not this".
    timings_ms: preprocess, embed, match, total.
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
