"""What goes over the wire, said once: these types check what comes in, write what goes out, and are the document."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Fraction = Annotated[float, Meta(ge=0, le=1)]
Label = Annotated[str, Meta(min_length=1, max_length=200)]
CameraState = Literal["live", "connecting", "stalled", "reconnecting", "ended", "missing"]


class Region(Struct, frozen=True, forbid_unknown_fields=True):
    """The part of the picture that is looked at, in fractions of its width and height."""

    x: Fraction
    y: Fraction
    w: Annotated[float, Meta(gt=0, le=1)]
    h: Annotated[float, Meta(gt=0, le=1)]


class Camera(Struct, frozen=True, tag="camera", tag_field="type"):
    """A camera as it is now. message: what is wrong and what to do; empty while all is well."""

    id: str
    name: str
    state: CameraState
    message: str
    fps: float | None
    width: int
    height: int
    region: Region | None
    frame_age_s: float | None
    drops: int
    teaching: bool


class Class(Struct, frozen=True):
    """A taught class. crops: shot ids, newest first. views_needed: 0 when the promise is kept."""

    label: str
    shots: int
    views: float
    bursts: int
    views_needed: int
    promise: str
    crops: list[int]
    set_aside: int


class Stranger(Struct, frozen=True):
    """Something unknown, seen repeatedly. first_s, last_s: unix seconds."""

    id: int
    seen: int
    first_s: float
    last_s: float


class BundleInfo(Struct, frozen=True):
    name: str
    fingerprint: str
    engine: str
    metric: str
    input: list[int]


class Mismatch(Struct, frozen=True):
    """The gallery was filled by another model; re-embedding takes about `seconds`.

    done: shots embedded so far, while it goes on.  failed: why the last attempt ended, else empty.
    """

    shots: int
    seconds: float
    done: int | None = None
    failed: str = ""


class GalleryState(Struct, frozen=True):
    path: str | None
    writable: bool
    classes: int
    mismatch: Mismatch | None


class State(Struct, frozen=True, tag="state", tag_field="type"):
    """Everything but the answers. undo: what `POST undo` would take back."""

    device: str
    bundle: BundleInfo
    gallery: GalleryState
    cameras: list[Camera]
    classes: list[Class]
    inbox: list[Stranger]
    undo: str | None
    stranger_rate: float | None
    viewers: int


class Hello(State, frozen=True, tag="hello", tag_field="type"):
    """The state, as the first message of a connection."""


class Answer(Struct, frozen=True, tag="answer", tag_field="type"):
    """What a frame shows. label: null for unknown; stable: the same, smoothed. check: what decided.

    id: what to ask `answers/{id}` about, null if it was not remembered.  score: null in an empty gallery.
    age_ms: capture to this message.  timings_ms: capture (waiting), decode, preprocess, embed, match, publish, total.
    """

    camera: str
    id: int | None
    label: str | None
    stable: str | None
    candidate: str | None
    score: float | None
    threshold: float | None
    runner_up: str | None
    margin: float | None
    check: str
    age_ms: float
    timings_ms: dict[str, float]


class Teach(Struct, frozen=True, tag="teach", tag_field="type"):
    """One frame looked at while teaching. line: what to do now. thumb: a data URL, unless refused as before."""

    camera: str
    kept: int
    refused: int
    accepted: bool
    reason: str | None
    line: str
    thumb: str | None


Event = Hello | State | Answer | Teach | Camera


class Recognized(Struct, frozen=True):
    """The answer to one picture; fields as in Answer."""

    label: str | None
    candidate: str | None
    score: float | None
    threshold: float | None
    runner_up: str | None
    margin: float | None
    check: str
    timings_ms: dict[str, float]


class Accepted(Struct, frozen=True):
    index: int
    shot_id: int


class Rejected(Struct, frozen=True):
    index: int
    reason: str


class Enrolled(Struct, frozen=True):
    """What became of the frames. advice: sentences, most useful first."""

    label: str
    accepted: list[Accepted]
    rejected: list[Rejected]
    advice: list[str]


class NearShot(Struct, frozen=True):
    """A stored shot the frame was compared with. crop: whether `shots/{id}/crop` has a picture."""

    shot_id: int
    score: float
    source: str
    time_s: float
    crop: bool


class Explained(Recognized, frozen=True):
    """An answer, and why."""

    nearest: list[NearShot]
    sentences: list[str]


class ChangedAnswer(Struct, frozen=True):
    answer: int
    before: str | None
    after: str | None


class Preview(Struct, frozen=True):
    """What a "not this" would change among the last `of` answers."""

    of: int
    changes: list[ChangedAnswer]


class Operation(Struct, frozen=True):
    id: int
    time_s: float
    what: str


class Imported(Struct, frozen=True):
    added: int
    skipped_duplicates: int
    per_class: dict[str, int]


class Health(Struct, frozen=True):
    status: Literal["ok"]


class Done(Struct, frozen=True):
    """what: what was done, in words."""

    what: str


class ErrorDetail(Struct, frozen=True):
    type: str
    message: str


class Error(Struct, frozen=True):
    error: ErrorDetail


# What comes in.


class SetRegion(Struct, frozen=True, forbid_unknown_fields=True):
    region: Region | None


class StartTeach(Struct, frozen=True, forbid_unknown_fields=True):
    label: Label | None = None


class Named(Struct, frozen=True, forbid_unknown_fields=True):
    label: Label


class MergeClasses(Struct, frozen=True, forbid_unknown_fields=True):
    label: Label
    into: Label


class Login(Struct, frozen=True, forbid_unknown_fields=True):
    token: Annotated[str, Meta(min_length=1, max_length=200)]
