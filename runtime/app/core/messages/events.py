"""What the device reports by itself: its state, and every answer as it happens."""

from __future__ import annotations

from msgspec import Struct

from runtime.app.core.messages.fields import CameraState, Certainty, FrameRegion, GalleryCondition, NamedRegion


class Camera(Struct, frozen=True, tag="camera", tag_field="type"):
    """The present state of a camera.

    `message` says what is wrong and what to do, and is empty while nothing is wrong. `fps` is measured. `drops` counts
    frames that were captured and not looked at. `teaching` tells whether a teaching session is in progress. `regions`
    have answers of their own.
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
    regions: list[NamedRegion] = []


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


class Site(Struct, frozen=True):
    """How the device stands with the site that shares its gallery.

    `address` has no password. `connected` tells whether the database answered last; `problem` says why it did not, or
    what is wrong. `unsent` counts the changes of this device that the site does not know yet, `crops_to_come` the
    pictures that are still to be fetched. `role` is what the login may do there: "viewer", "device" or "teacher"; null
    before the first connection.
    """

    address: str
    connected: bool
    problem: str | None
    unsent: int
    crops_to_come: int
    conflicts: int
    role: str | None


class GalleryState(Struct, frozen=True):
    """The gallery in use. `path` is null for a gallery in memory.

    `state` says why it cannot be changed, or why the last change failed. `writable` is false while it is "read-only" or
    "damaged"; otherwise another attempt may succeed. On a full disk, forgetting and undo do. `undo_minutes` is for how
    long a forgotten class can be restored. `site` is null for a gallery that no other device shares.
    """

    path: str | None
    writable: bool
    classes: int
    mismatch: Mismatch | None
    state: GalleryCondition = "ok"
    undo_minutes: int | None = None
    site: Site | None = None


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


class RegionAnswer(Struct, frozen=True, tag="region", tag_field="type"):
    """What a named region of a camera shows; the fields are those of Answer, and `region` is its name."""

    camera: str
    region: str
    id: int | None
    stable: str | None
    suggestion: str | None
    certainty: Certainty
    candidate: str | None
    score: float | None
    threshold: float | None
    age_ms: float


class Teach(Struct, frozen=True, tag="teach", tag_field="type"):
    """One frame of a teaching session.

    `line` tells the person what to do now. `thumb` is a data URL; it is null when the frame was refused for the same
    reason as the one before. `region` is the part of the frame in which something moves; it is null while the camera
    looks at a region, and while nothing or everything moves.
    """

    camera: str
    kept: int
    refused: int
    accepted: bool
    reason: str | None
    line: str
    thumb: str | None
    region: FrameRegion | None = None


Event = Hello | State | Answer | RegionAnswer | Teach | Camera
