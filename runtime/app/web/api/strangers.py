"""The inbox: strangers seen again and again."""

from __future__ import annotations

from runtime.app.core.messages import Done, Enrolled, Named, Stranger
from runtime.app.web.api.enrolled import enrolled
from runtime.app.web.routes import Call, NotThere, Route


def strangers(call: Call) -> list[Stranger]:
    return [Stranger(s.id, s.seen, s.first_s, s.last_s) for s in call.service.inbox.strangers()]


def crop(call: Call) -> bytes:
    picture = next((s.crop for s in call.service.inbox.strangers() if s.id == call.id), None)
    if picture is None:
        raise NotThere(f"stranger {call.id} is not in the inbox, or no longer")
    return picture


def name(call: Call) -> Enrolled:
    service = call.service
    enrollment = service.editable.name_stranger(service.inbox, call.id, call.body.label)
    service.inbox.let_go_known(service.recognizer.match_many)  # the same thing from another side
    service.changed()
    return enrolled(enrollment)


def dismiss(call: Call) -> Done:
    call.service.inbox.dismiss(call.id)
    call.service.changed()
    return Done(f"stranger {call.id} is dismissed")


BASE = "/api/v1/inbox"
ROUTES = (
    Route("GET", BASE, "Strangers seen repeatedly", strangers, gives=list[Stranger]),
    Route("GET", f"{BASE}/{{id:int}}/crop", "What one looks like", crop, gives="image/jpeg", refuses=(404,)),
    Route(
        *("POST", f"{BASE}/{{id:int}}/name", "Teach a class from one", name),
        takes=Named,
        gives=Enrolled,
        refuses=(404, 409, 507),
    ),
    Route("DELETE", f"{BASE}/{{id:int}}", "Forget one", dismiss, gives=Done, refuses=(404,)),
)
