"""The shots of a class, one by one, for a person who looks through them."""

from __future__ import annotations

from msgspec import Struct

from runtime.app.core.messages import Done, Named
from runtime.app.web.api.convert import changed
from runtime.app.web.routes import BadRequest, Call, Route
from runtime.gallery import NewShot


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
    """Add the shot to the other class and remove it from its own. These are two changes, so undo takes two steps."""
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
    fresh = NewShot(shot.embedding, gallery.crop(call.id), shot.burst, shot.quality, shot.source, shot.time_s)
    gallery.add_all([(to, fresh, False)], f"moved shot {call.id} of {shot.label!r} to {to!r}")
    gallery.remove_shot(call.id)
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
