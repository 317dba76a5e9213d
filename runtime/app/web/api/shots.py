"""The shots of a class, one by one, for a person who looks through them."""

from __future__ import annotations

from msgspec import Struct

from runtime.app.core.messages import Done, Named
from runtime.app.web.api.convert import changed
from runtime.app.web.routes import BadRequest, Call, Route


class Shot(Struct, frozen=True):
    """A stored shot. `negative` ones show what the class is not. `time_s` is in unix seconds, `quality` is in 0..1."""

    id: int
    negative: bool
    burst: str
    quality: float
    source: str
    time_s: float
    crop: bool


def shots(call: Call) -> list[Shot]:
    return [
        Shot(r.id, r.negative, r.burst, float(r.quality), r.source, r.time_s, r.crop_sha256 is not None)
        for r in reversed(call.service.recognizer.gallery.records(call.label))
    ]


def move(call: Call) -> Done:
    gallery = call.service.editable.gallery
    shot, to = gallery.shot(call.id), call.body.label
    if shot.negative or len(gallery.classes[shot.label].ids) < 2:
        raise BadRequest(
            f"A class must keep one shot at least, and a negative example cannot be moved: shot {call.id}."
        )
    if to not in gallery.classes:
        raise BadRequest(
            f"The shot must be moved to a class, but none has the label {to!r}. GET /api/v1/classes lists them."
        )
    gallery.move_shot(call.id, to)
    return changed(call, f"moved a shot of {shot.label} to {to}")


ROUTES = (
    Route(
        *("GET", "/api/v1/classes/shots", "Every shot of a class, newest first", shots),
        gives=list[Shot],
        query=("label",),
        refuses=(404,),
    ),
    Route(
        *("POST", "/api/v1/shots/{id:int}/move", "Move a shot to another class", move),
        takes=Named,
        gives=Done,
        refuses=(404, 409, 507),
    ),
)
