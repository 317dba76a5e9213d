"""Recent answers: their reasons, "not this", and the stranger rate, with what either would change."""

from __future__ import annotations

from msgspec.structs import asdict

from runtime.app.core.messages import (
    ChangePreview,
    Confirm,
    CurrentRate,
    Done,
    Enrolled,
    Explained,
    NearShot,
    StrangerRate,
)
from runtime.app.web.api.convert import changed, changes, enrolled, recognized, rejection
from runtime.app.web.routes import Call, NotFound, Route


def explain(call: Call) -> Explained:
    why = call.service.recognizer.explain(call.service.recent(call.id).recognition)
    return Explained(
        **asdict(recognized(why.recognition)),
        nearest=[NearShot(n.shot_id, float(n.score), n.source, n.time_s, n.crop is not None) for n in why.nearest],
        sentences=list(why.sentences),
    )


def crop(call: Call) -> bytes:
    picture = call.service.recent(call.id).crop
    if picture is None:
        raise NotFound(f"No picture was kept of answer {call.id}.")
    return picture


def preview_reject(call: Call) -> ChangePreview:
    answer, label = call.service.named(call.id)
    return rejection(call, answer.recognition.embedding, label)


def rate(call: Call) -> CurrentRate:
    return CurrentRate(call.service.recognizer.stranger_rate)


def preview_rate(call: Call) -> ChangePreview:
    ring = call.service.ring
    remembered = ring.answers()
    return changes(remembered, call.service.recognizer.preview_rate(call.body.rate, ring))


def set_rate(call: Call) -> Done:
    return changed(call, call.service.set_stranger_rate(call.body.rate))


def confirm(call: Call) -> Enrolled:
    return enrolled(call, call.service.confirm(call.id, call.body.label))


def reject(call: Call) -> Done:
    return changed(call, call.service.reject(call.id))


BASE = "/api/v1/answers/{id:int}"
RATE = "/api/v1/stranger-rate"
ROUTES = (
    Route("GET", f"{BASE}/explain", "The reasons for an answer", explain, gives=Explained, refuses=(404,)),
    Route("GET", f"{BASE}/crop", "The picture of an answer", crop, gives="image/jpeg", refuses=(404,)),
    Route(
        *("POST", f"{BASE}/confirm", "Store the picture as a shot of the candidate, or of another class", confirm),
        takes=Confirm,
        gives=Enrolled,
        refuses=(404, 409, 507),
    ),
    Route(
        *("POST", f"{BASE}/reject/preview", 'What "not this" would change among the recent answers', preview_reject),
        gives=ChangePreview,
        refuses=(404, 409),
    ),
    Route(
        *("POST", f"{BASE}/reject", '"Not this": store the picture as a negative example of the class', reject),
        gives=Done,
        refuses=(404, 409, 507),
    ),
    Route("GET", RATE, "The share of strangers that may be given a name", rate, gives=CurrentRate),
    Route(
        *("POST", f"{RATE}/preview", "What another stranger rate would change among the recent answers", preview_rate),
        takes=StrangerRate,
        gives=ChangePreview,
    ),
    Route(
        *("PUT", RATE, "Set the share of strangers that may be given a name", set_rate),
        takes=StrangerRate,
        gives=Done,
        refuses=(409, 507),
    ),
)
