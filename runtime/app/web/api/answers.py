"""Recent answers: why, and "not this"."""

from __future__ import annotations

from msgspec.structs import asdict

from runtime.app.core.messages import ChangedAnswer, Done, Explained, NearShot, Preview
from runtime.app.web.api.recognized import recognized
from runtime.app.web.routes import Call, NotThere, Route


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
        raise NotThere(f"no picture was kept of answer {call.id}")
    return picture


def preview_reject(call: Call) -> Preview:
    answer, label = call.service.accused(call.id)
    ring = call.service.ring
    remembered = ring.answers()
    preview = call.service.recognizer.preview_reject(answer.recognition.embedding, label, ring)
    changes = [ChangedAnswer(remembered[c.index].id, c.before, c.after) for c in preview.changes]
    return Preview(preview.of, changes)


def reject(call: Call) -> Done:
    return Done(call.service.reject(call.id))


BASE = "/api/v1/answers/{id:int}"
ROUTES = (
    Route("GET", f"{BASE}/explain", "Why the answer is what it is", explain, gives=Explained, refuses=(404,)),
    Route("GET", f"{BASE}/crop", "What it was about", crop, gives="image/jpeg", refuses=(404,)),
    Route(
        *("POST", f"{BASE}/reject/preview", 'What a "not this" would change', preview_reject),
        gives=Preview,
        refuses=(404, 409),
    ),
    Route("POST", f"{BASE}/reject", '"Not this": learn from a mistake', reject, gives=Done, refuses=(404, 409, 507)),
)
