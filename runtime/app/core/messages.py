"""The messages of the API: the types check requests and write responses; their docstrings are in the API document."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Fraction = Annotated[float, Meta(ge=0, le=1)]
# Neither empty nor with control characters; `clean_label` has the other rules.
LABEL_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
Label = Annotated[
    str, Meta(min_length=1, max_length=200, extra_json_schema={"maxLength": 100, "pattern": LABEL_PATTERN})
]
Certainty = Literal["sure", "maybe", "unknown"]
GalleryCondition = Literal["ok", "read-only", "damaged", "disk full", "disk failing", "second writer"]
CameraState = Literal["live", "connecting", "stalled", "reconnecting", "ended", "missing"]


class FrameRegion(Struct, frozen=True, forbid_unknown_fields=True):
    """The rectangle of a camera's frame that is looked at, in fractions of the frame's width and height."""

    x: Fraction
    y: Fraction
    w: Annotated[float, Meta(gt=0, le=1)]
    h: Annotated[float, Meta(gt=0, le=1)]


class Camera(Struct, frozen=True, tag="camera", tag_field="type"):
    """The present state of a camera.

    `message` says what is wrong and what to do, and is empty while nothing is wrong. `fps` is measured. `drops` counts
    frames that were captured and not looked at. `teaching` tells whether a teaching session is in progress.
    """

    id: str
    name: str
    state: CameraState
    message: str
    fps: float | None
    width: int
    height: int
    region: FrameRegion | None
    frame_age_s: float | None
    drops: int
    teaching: bool


class Class(Struct, frozen=True):
    """A taught class.

    `views` counts clearly different looks. `advice` is "reliable" or the next thing to do. `similar` are classes that
    look like it. `crops` are shot ids, newest first.
    """

    label: str
    shots: int
    views: int
    bursts: int
    reliable: bool
    advice: str
    similar: list[str]
    crops: list[int]


class Stranger(Struct, frozen=True):
    """Something unknown that was seen repeatedly. `first_s` and `last_s` are unix seconds."""

    id: int
    seen: int
    first_s: float
    last_s: float


class BundleInfo(Struct, frozen=True):
    """The model in use. `input` is the shape [height, width, channels] of what the engine is given."""

    name: str
    fingerprint: str
    engine: str
    metric: str
    input: list[int]


class Mismatch(Struct, frozen=True):
    """The gallery was filled by another model; to embed it again takes about `seconds`.

    `done` counts the shots embedded so far while that is in progress, else it is null. `failed` says why the last
    attempt ended, and is empty if there was none.
    """

    shots: int
    seconds: float
    done: int | None = None
    failed: str = ""


class GalleryState(Struct, frozen=True):
    """The gallery in use. `path` is null for a gallery in memory.

    `state` says why it cannot be changed, or why the last change failed. `writable` is false while it is "read-only" or
    "damaged"; otherwise another attempt may succeed. On a full disk, forgetting and undo do. `undo_minutes` is for how
    long a forgotten class can be restored.
    """

    path: str | None
    writable: bool
    classes: int
    mismatch: Mismatch | None
    state: GalleryCondition = "ok"
    undo_minutes: int | None = None


class Operation(Struct, frozen=True):
    """A change of the gallery. `time_s` is in unix seconds; `what` describes it, such as "forgot 'cup' (18 shots)"."""

    id: int
    time_s: float
    what: str


class State(Struct, frozen=True, tag="state", tag_field="type"):
    """Everything except the answers.

    `undo` is the newest change, which `POST undo` takes back. `redo` is the change that `POST redo` makes again.
    """

    device: str
    bundle: BundleInfo
    gallery: GalleryState
    cameras: list[Camera]
    classes: list[Class]
    inbox: list[Stranger]
    undo: Operation | None
    redo: Operation | None
    stranger_rate: float | None
    viewers: int


class Hello(State, frozen=True, tag="hello", tag_field="type"):
    """The state, as the first message of a connection."""


class Answer(Struct, frozen=True, tag="answer", tag_field="type"):
    """What a frame shows, and the answer smoothed over the last frames.

    Smoothed: `stable` is the label when the answer is sure; otherwise `suggestion` is the class that it may be; both
    are null for unknown. Of this frame: `label` is null unless `certainty` is "sure", and `candidate` is the best
    class. `check` names the check that decided. `answers/{id}` tells more about the answer; `id` is null if it was not
    remembered. `score` is null in an empty gallery. `age_ms` is the time from the capture to this message. The stages
    of `timings_ms` are capture (time spent waiting), decode, preprocess, embed, match, publish and total.
    """

    camera: str
    id: int | None
    stable: str | None
    suggestion: str | None
    label: str | None
    certainty: Certainty
    candidate: str | None
    score: float | None
    threshold: float | None
    runner_up: str | None
    margin: float | None
    check: str
    age_ms: float
    timings_ms: dict[str, float]


class Teach(Struct, frozen=True, tag="teach", tag_field="type"):
    """One frame of a teaching session.

    `line` tells the person what to do now. `thumb` is a data URL; it is null when the frame was refused for the same
    reason as the one before.
    """

    camera: str
    kept: int
    refused: int
    accepted: bool
    reason: str | None
    line: str
    thumb: str | None


Event = Hello | State | Answer | Teach | Camera


class Recognized(Struct, frozen=True):
    """The answer to one picture, with the fields of Answer."""

    label: str | None
    certainty: Certainty
    candidate: str | None
    score: float | None
    threshold: float | None
    runner_up: str | None
    margin: float | None
    check: str
    timings_ms: dict[str, float]


class Accepted(Struct, frozen=True):
    """A frame that became a shot. `index` counts the frames of the request from 0."""

    index: int
    shot_id: int


class Rejected(Struct, frozen=True):
    """A frame that was refused. `index` counts the frames of the request from 0."""

    index: int
    reason: str


class SimilarClass(Struct, frozen=True):
    """A class that looks like the one just taught, and the score of one prototype against the other."""

    label: str
    score: float


class Enrolled(Struct, frozen=True):
    """The result of an enrolment.

    `advice` holds sentences, the most useful first. `operation` is the id of the change for `POST undo`; it is null if
    no frame was accepted. `similar` are the classes that look like this one, the most similar first: if two classes are
    one thing, merge them.
    """

    label: str
    accepted: list[Accepted]
    rejected: list[Rejected]
    advice: list[str]
    operation: int | None = None
    similar: list[SimilarClass] = []


class NearShot(Struct, frozen=True):
    """A stored shot that the frame was compared with. `crop` tells whether `shots/{id}/crop` has a picture."""

    shot_id: int
    score: float
    source: str
    time_s: float
    crop: bool


class Explained(Recognized, frozen=True):
    """An answer and the reasons for it, in sentences and by the nearest shots."""

    nearest: list[NearShot]
    sentences: list[str]


class ChangedAnswer(Struct, frozen=True):
    """A recent answer that a change would turn from the text `before`, such as "mug?" or "unknown", into `after`."""

    answer: int
    before: str
    after: str


class ChangePreview(Struct, frozen=True):
    """What a change would alter among the last `of` answers."""

    of: int
    changes: list[ChangedAnswer]


class Imported(Struct, frozen=True):
    """What an uploaded gallery added. `operation` is the id of the change for `POST undo`; null if it added nothing."""

    added: int
    skipped_duplicates: int
    per_class: dict[str, int]
    operation: int | None = None


class ServerHealth(Struct, frozen=True):
    """The server answers requests. `gallery` says whether the gallery can be changed, and why not."""

    status: Literal["ok"]
    gallery: GalleryCondition = "ok"


class Done(Struct, frozen=True):
    """What was done, in words. `operation` is the id of the change for `POST undo`; null if there is none."""

    what: str
    operation: int | None = None


class ErrorDetail(Struct, frozen=True):
    """The kind of an error and a message that says what to do."""

    type: str
    message: str


class Error(Struct, frozen=True):
    """The body of every error response."""

    error: ErrorDetail


# Requests.


class SetRegion(Struct, frozen=True, forbid_unknown_fields=True):
    """The region to look at; null for the whole frame."""

    region: FrameRegion | None


class AddCamera(Struct, frozen=True, forbid_unknown_fields=True):
    """A source of frames to add.

    `what` is a camera number, a URL, a file or folder on the device, "demo", or "browser" for a camera whose pictures
    a page sends over the WebSocket `cameras/{camera}/frames`. `name` is shown to people; null for one made from `what`.
    """

    what: Annotated[str, Meta(min_length=1, max_length=2000)]
    name: Label | None = None


class CameraName(Struct, frozen=True, forbid_unknown_fields=True):
    """Another name of a camera."""

    name: Label


class Device(Struct, frozen=True):
    """A camera that is connected to the device. `camera` is the id of the camera that reads it; null if none does."""

    number: int
    name: str
    camera: str | None


class StartTeach(Struct, frozen=True, forbid_unknown_fields=True):
    """The label of the class to teach; null if it has none yet."""

    label: Label | None = None


class Named(Struct, frozen=True, forbid_unknown_fields=True):
    """A label."""

    label: Label


class MergeClasses(Struct, frozen=True, forbid_unknown_fields=True):
    """The class `label`, whose shots move to the class `into`."""

    label: Label
    into: Label


class OperationId(Struct, frozen=True, forbid_unknown_fields=True):
    """The id of the change that is meant: `undo.id` or `redo.id` of the state, or `operation` of a response."""

    id: Annotated[int, Meta(ge=1)]


class Confirm(Struct, frozen=True, forbid_unknown_fields=True):
    """The class that an answer shows; null for the candidate of the answer."""

    label: Label | None = None


class StrangerRate(Struct, frozen=True, forbid_unknown_fields=True):
    """The share of strangers that may be given a name."""

    rate: Annotated[float, Meta(ge=0, le=1)]


class UndoMinutes(Struct, frozen=True, forbid_unknown_fields=True):
    """For how many minutes a forgotten class can be restored."""

    minutes: Annotated[int, Meta(ge=0, le=527_040)]


class CurrentRate(Struct, frozen=True):
    """The share of strangers that may be given a name; null for a closed set, in which nothing is unknown."""

    rate: float | None


class Login(Struct, frozen=True, forbid_unknown_fields=True):
    """The access token."""

    token: Annotated[str, Meta(min_length=1, max_length=200)]
