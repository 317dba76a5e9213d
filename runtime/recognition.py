"""What the recogniser answers: the result of enrolling, and of recognising, each with its reasons."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


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
    embedding: `float32 [D]`, read-only: what `match` and `reject` take later. Kept out of repr and JSON.
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
    """The stages of one answer between four moments, as in `Recognition.timings_ms`."""
    return {
        "preprocess": (prepared_s - start_s) * 1e3,
        "embed": (embedded_s - prepared_s) * 1e3,
        "match": (done_s - embedded_s) * 1e3,
        "total": (done_s - start_s) * 1e3,
    }


@dataclass(frozen=True)
class ClassSummary:
    """How well a class is known.

    n_views: how many different photographs its shots are worth.  n_bursts: separate occasions it was shown.
    head: what scores it.  promise: in words, what is promised about strangers.  views_needed: 0 when it is.
    set_aside: shots that disagree with the class and are not averaged in.
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
    """One recent answer that a "not this" would change.  index: into the answers looked at.  before, after: labels."""

    index: int
    before: str | None
    after: str | None


@dataclass(frozen=True)
class RejectPreview:
    """What a "not this" would do to recent answers.  of: how many were looked at."""

    of: int
    changes: tuple[Change, ...]
