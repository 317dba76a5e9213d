"""What the device responds to a request."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from runtime.app.core.messages.fields import Certainty, GalleryCondition


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
    """The server answers requests. `gallery` says whether the gallery can be changed, and why not.

    `site` is null for a gallery that no other device shares. While the site is away, recognition goes on.
    """

    status: Literal["ok"]
    gallery: GalleryCondition = "ok"
    site: Literal["connected", "away"] | None = None


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


class Device(Struct, frozen=True):
    """A camera that is connected to the device. `camera` is the id of the camera that reads it; null if none does."""

    number: int
    name: str
    camera: str | None


class CurrentUser(Struct, frozen=True):
    """Whose access token the request has. A viewer may only read. `name` is null where no token is needed."""

    name: str | None
    role: Literal["viewer", "teacher"]


class CurrentRate(Struct, frozen=True):
    """The share of strangers that may be given a name; null for a closed set, in which nothing is unknown."""

    rate: float | None
