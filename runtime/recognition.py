"""What the recognizer answers: the result of enrolling frames and of recognising one, each with its reasons."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Certainty = Literal["sure", "maybe", "unknown"]


@dataclass(frozen=True)
class AcceptedFrame:
    """A frame that became a shot.

    Attributes:
        index: The position of the frame among those handed in.
        shot_id: The id of the shot in the gallery, where it is durable.
    """

    index: int
    shot_id: int


@dataclass(frozen=True)
class RejectedFrame:
    """A frame that was not stored.

    Attributes:
        index: The position of the frame among those handed in.
        reason: "too dark", "too bright", "blurred" or "same view".
    """

    index: int
    reason: str


@dataclass(frozen=True)
class SimilarClass:
    """Another class that looks like the one just taught, so that the two may be one thing under two names.

    Attributes:
        label: The other class.
        score: The score of one prototype against the other.
    """

    label: str
    score: float


@dataclass(frozen=True)
class Enrollment:
    """What became of the frames of one `enroll`.

    Attributes:
        label: The class that was taught.
        accepted: The frames that became shots.
        rejected: The frames that were not stored, with the reason.
        advice: Sentences for the person who teaches, the most useful first; empty when nothing is to be done.
        similar: Classes that look like this one, the most similar first: merge them if they are one thing.
    """

    label: str
    accepted: tuple[AcceptedFrame, ...]
    rejected: tuple[RejectedFrame, ...]
    advice: tuple[str, ...]
    similar: tuple[SimilarClass, ...] = ()


@dataclass(frozen=True)
class NearestShot:
    """A stored shot of the candidate class and its score against the frame."""

    shot_id: int
    score: float


@dataclass(frozen=True)
class Recognition:
    """One answer and its reasons.

    Attributes:
        label: The class if the answer is sure, else None.
        certainty: "sure", "maybe" or "unknown".
        candidate: The best class, whether it was accepted or not; None in an empty gallery.
        score: The score of the candidate: its cosine, or minus its Euclidean distance. -inf in an empty gallery.
        threshold: The score that a sure answer needs.
        runner_up: The second best class; None if there is only one.
        margin: The lead over the runner-up.
        check: What decided: "accepted", "empty gallery", "score", "twin" (two classes look alike and both fit) or
            "not this".
        nearest: The most similar shots of the candidate, nearest first.
        timings_ms: Milliseconds for "preprocess", "embed", "match" and "total".
        embedding: `float32 [D]`, read-only: what `match`, `confirm` and `reject` take later. Not in repr or JSON.
    """

    label: str | None
    certainty: Certainty
    candidate: str | None
    score: float
    threshold: float
    runner_up: str | None
    margin: float
    check: str
    nearest: tuple[NearestShot, ...]
    timings_ms: dict[str, float]
    embedding: NDArray[np.float32] = field(repr=False, compare=False)

    @property
    def text(self) -> str:
        """The answer as it is shown to a person: "mug", "mug?", "mug or cup?" or "unknown"."""
        if self.certainty == "unknown":
            return "unknown"
        if self.check == "twin":
            return f"{self.candidate} or {self.runner_up}?"
        return f"{self.candidate}" if self.certainty == "sure" else f"{self.candidate}?"


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

    Attributes:
        label: The name of the class.
        n_shots: How many shots it has.
        n_views: How many clearly different views they are worth.
        n_bursts: On how many separate occasions it was taught.
        n_negatives: How many frames were rejected as "not this".
        threshold: The score that a sure answer needs; -inf in a closed set.
        similar: Classes that look like this one.
        reliable: Whether nothing needs to be done.
        advice: "reliable", or the next thing to do.
    """

    label: str
    n_shots: int
    n_views: int
    n_bursts: int
    n_negatives: int
    threshold: float
    similar: tuple[SimilarClass, ...]
    reliable: bool
    advice: str


@dataclass(frozen=True)
class Change:
    """One recent answer that would change.

    Attributes:
        index: The position among the answers that were looked at.
        before: The answer now, as `Recognition.text` gives it.
        after: The answer afterwards.
    """

    index: int
    before: str
    after: str


@dataclass(frozen=True)
class ChangePreview:
    """What a "not this" or another stranger rate would change among recent answers.

    Attributes:
        of: How many answers were looked at.
        changes: Those that would change.
    """

    of: int
    changes: tuple[Change, ...]
