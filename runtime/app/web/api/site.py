"""The conflicts of a gallery that devices share: changes made without knowing of each other, and deciding them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from runtime.app.core.messages import Done
from runtime.app.web.routes import MAX_ID, Call, NotFound, Route
from runtime.errors import StaleOperation
from runtime.fleet.events import EventKey

if TYPE_CHECKING:
    from runtime.fleet.gallery import FleetGallery


class Change(Struct, frozen=True):
    """A change of a device, named by `origin` and `n`. `device` is who made it, and `what` describes it.

    `time_s` is in unix seconds of the clock of that device. `can_take_back` tells whether this device may let it not
    count.
    """

    origin: str
    n: int
    device: str
    what: str
    time_s: float
    can_take_back: bool


class Conflict(Struct, frozen=True):
    """Changes that were made without knowing of each other. The first of `changes` had no effect, or another one.

    `text` says what happened. If one of the changes is taken back, the other one takes effect as it was meant.
    """

    text: str
    changes: list[Change]


class ChangeKey(Struct, frozen=True, forbid_unknown_fields=True):
    """The change that is meant: `origin` and `n` of a conflict."""

    origin: Annotated[str, Meta(min_length=1, max_length=200)]
    n: Annotated[int, Meta(ge=1, le=MAX_ID)]


def conflicts(call: Call) -> list[Conflict]:
    shared = _shared(call)
    return [
        Conflict(
            conflict.text,
            [
                Change(
                    *event.key,
                    device=event.key.origin.partition("/")[0],
                    what=event.what,
                    time_s=event.time_s,
                    can_take_back=shared.can_take_back(event.key),
                )
                for event in shared.sides(conflict)
            ],
        )
        for conflict in shared.conflicts()
    ]


def take_back(call: Call) -> Done:
    shared, key = _shared(call), EventKey(call.body.origin, call.body.n)
    if not any(key in (conflict.event, conflict.other) for conflict in shared.conflicts()):
        raise StaleOperation(
            f"Change {key.n} of {key.origin} must be part of a conflict, but it is not, or no longer. "
            "Nothing was changed."
        )
    what = shared.take_back(key)
    call.service.changed()
    return Done(f"undone: {what}")


def _shared(call: Call) -> FleetGallery:
    """Return the gallery that devices share. Raises NotFound, or GalleryMismatch if another model filled it."""
    shared = call.service.editable.gallery.shared
    if shared is None:
        raise NotFound("The gallery must be shared by a site to have conflicts, but it is a file of this device.")
    return shared


BASE = "/api/v1/site/conflicts"
ROUTES = (
    Route(
        *("GET", BASE, "Changes of the site that were made without knowing of each other", conflicts),
        gives=list[Conflict],
        refuses=(404, 409),
    ),
    Route(
        *("POST", f"{BASE}/take-back", "Let a change of a conflict not count, on every device", take_back),
        takes=ChangeKey,
        gives=Done,
        refuses=(404, 409, 507),
    ),
)
