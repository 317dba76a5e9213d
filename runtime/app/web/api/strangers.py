"""The inbox of strangers that were seen repeatedly."""

from __future__ import annotations

from runtime.app.core.messages import Done, Enrolled, Named, Stranger
from runtime.app.core.state import strangers as strangers_of
from runtime.app.web.api.convert import enrolled
from runtime.app.web.routes import Call, NotFound, Route


def strangers(call: Call) -> list[Stranger]:
    return strangers_of(call.service.inbox)


def crop(call: Call) -> bytes:
    picture = next((s.crop for s in call.service.inbox.strangers() if s.id == call.id), None)
    if picture is None:
        raise NotFound(f"Stranger {call.id} must be in the inbox, but it is not, or no longer.")
    return picture


def name(call: Call) -> Enrolled:
    service = call.service
    enrollment = service.editable.name_stranger(service.inbox, call.id, call.body.label)
    service.inbox.let_go_known(service.recognizer.match_many)  # other entries may show the same thing
    service.changed()
    return enrolled(call, enrollment)


def dismiss(call: Call) -> Done:
    call.service.inbox.dismiss(call.id)
    call.service.changed()
    return Done(f"stranger {call.id} is dismissed")


BASE = "/api/v1/inbox"
ROUTES = (
    Route("GET", BASE, "Strangers that were seen repeatedly", strangers, gives=list[Stranger]),
    Route("GET", f"{BASE}/{{id:int}}/crop", "The picture of a stranger", crop, gives="image/jpeg", refuses=(404,)),
    Route(
        *("POST", f"{BASE}/{{id:int}}/name", "Teach a class from a stranger", name),
        takes=Named,
        gives=Enrolled,
        refuses=(404, 409, 507),
    ),
    Route("DELETE", f"{BASE}/{{id:int}}", "Remove a stranger from the inbox", dismiss, gives=Done, refuses=(404,)),
)
