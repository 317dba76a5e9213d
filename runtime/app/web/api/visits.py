"""Visits: what each camera showed and when; reviewed by people, counted by class and hour, and exported."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timezone
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import astuple
from starlette.responses import Response

from runtime.app.clock import now_s
from runtime.app.core.messages import ChangePreview, Done, Label
from runtime.app.core.reviewing import not_shown, review
from runtime.app.tables import plain_cells
from runtime.app.visits.store import Filter, StoredVisit
from runtime.app.web.api.convert import rejection
from runtime.app.web.routes import MAX_ID, BadRequest, Call, NotFound, Route

MANY = 60  # visits of one page
MOST = 500
EXPORTED = 100_000
VisitIds = Annotated[list[Annotated[int, Meta(ge=1, le=MAX_ID)]], Meta(min_length=1, max_length=MOST)]


class Visit(Struct, frozen=True):
    """A stretch of time in which a camera showed one thing.

    `label` is the class that was named or suggested; null for unknown. `certainty` is the best that was reached.
    `suggestion` is the class that the newest gallery names or suggests for it, and is null if there is none. `review`
    is what a person said: "yes", "is" (it is `review_label`), "not" or "stranger". Times are in unix seconds.
    """

    id: int
    camera: str
    label: str | None
    certainty: str
    suggestion: str | None
    score: float | None
    begun_s: float
    ended_s: float
    frames: int
    review: str | None
    review_label: str | None


class Review(Struct, frozen=True, forbid_unknown_fields=True):
    """What a person says about visits.

    "yes": it is the class named or suggested. "is": it is `label`. "not": it is not the class named or suggested.
    "stranger": it shows nothing taught. Each changes the gallery accordingly.
    """

    ids: VisitIds
    say: Literal["yes", "is", "not", "stranger"]
    label: Label | None = None


class ReviewResult(Struct, frozen=True):
    """How many visits were reviewed. `operations` are the ids of the changes for `POST undo`, oldest first."""

    visits: int
    operations: list[int]


class RemovedVisits(Struct, frozen=True, forbid_unknown_fields=True):
    """The visits to remove with their pictures."""

    ids: VisitIds


class ExportedVisit(Struct, frozen=True):
    """A visit as it is exported; times are in UTC, as in ISO 8601."""

    id: int
    begun: str
    ended: str
    camera: str
    label: str | None
    certainty: str
    score: float | None
    frames: int
    review: str | None
    review_label: str | None


class Hour(Struct, frozen=True):
    """The visits of one class that began within one hour. `label` is null for unknown; `seconds` is their length."""

    begin_s: float
    label: str | None
    visits: int
    seconds: float


def visits(call: Call) -> list[Visit]:
    wanted = _filter(call)
    limit = _number(call, "limit", MANY)
    return [_shown(call, visit) for visit in call.service.visits.store.visits(wanted, min(max(limit, 1), MOST))]


def crop(call: Call) -> bytes:
    views = call.service.visits.store.views(call.id)
    if not views or views[0].crop is None:
        raise NotFound(f"No picture was kept of visit {call.id}.")
    return views[0].crop


def preview_not(call: Call) -> ChangePreview:
    """Return what the review "not" of a visit would change."""
    found = call.service.visits.store.some([call.id])
    if not found:
        raise NotFound(f"There is no visit {call.id}, or no longer.")
    return rejection(call, *not_shown(call.service.recognizer, call.service.visits, found[0]))


def say(call: Call) -> ReviewResult:
    said = call.body
    result = review(call.service.editable, call.service.visits, said.ids, said.say, said.label)
    call.service.changed()
    return ReviewResult(result.visits, list(result.operations))


def remove(call: Call) -> Done:
    count = call.service.visits.store.remove(call.body.ids)
    return Done(f"removed {count} visit{'' if count == 1 else 's'}")


def statistics(call: Call) -> list[Hour]:
    days = min(max(_number(call, "days", 1), 1), 31)
    begin = now_s() - days * 86_400
    return [Hour(*row) for row in call.service.visits.store.hours(begin)]


def export_csv(call: Call) -> Response:
    """All visits that fit, without pictures."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(ExportedVisit.__struct_fields__)
    writer.writerows(plain_cells(astuple(row)) for row in _exported(call))
    return _file(text.getvalue().encode(), "text/csv; charset=utf-8", "visits.csv")


def export_json(call: Call) -> Response:
    return _file(msgspec.json.encode(_exported(call)), "application/json", "visits.json")


def _shown(call: Call, visit: StoredVisit) -> Visit:
    recognizer = call.service.recognizer
    suggestion = None
    if visit.review is None and visit.model == recognizer.bundle.fingerprint:
        views = call.service.visits.store.views(visit.id)
        now = recognizer.match(views[0].embedding) if views else None
        suggestion = now.candidate if now is not None and now.certainty != "unknown" else None
    return Visit(
        id=visit.id,
        camera=visit.camera,
        label=visit.label,
        certainty=visit.certainty,
        suggestion=suggestion,
        score=visit.score,
        begun_s=visit.begun_s,
        ended_s=visit.ended_s,
        frames=visit.frames,
        review=visit.review,
        review_label=visit.review_label,
    )


def _exported(call: Call) -> list[ExportedVisit]:
    def when(time_s: float) -> str:
        return datetime.fromtimestamp(time_s, timezone.utc).isoformat("T", "seconds")

    return [
        ExportedVisit(v.id, when(v.begun_s), when(v.ended_s), v.camera, v.label, v.certainty, v.score, v.frames,
                      v.review, v.review_label)
        for v in call.service.visits.store.visits(_filter(call), EXPORTED)
    ]  # fmt: skip


def _filter(call: Call) -> Filter:
    query = call.request.query_params
    certainty = query.get("certainty")
    if certainty not in (None, "sure", "maybe", "unknown"):
        raise BadRequest(f"The certainty must be sure, maybe or unknown, but it is {certainty!r}.")
    before = _number(call, "before", 0)
    unreviewed = query.get("unreviewed", "false") == "true"
    return Filter(query.get("label"), query.get("camera"), certainty, unreviewed, before or None)


def _number(call: Call, name: str, default: int) -> int:
    text = call.request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise BadRequest(f"The parameter {name} must be a whole number, but it is {text!r}.")
    return int(text)


def _file(data: bytes, kind: str, name: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(data, 200, headers, kind)


TEXT = {"type": "string", "minLength": 1, "maxLength": 200}
NUMBER = {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}
FILTERS: dict[str, dict[str, Any]] = {
    "label": TEXT,
    "camera": TEXT,
    "certainty": {"type": "string", "enum": ["sure", "maybe", "unknown"]},
    "unreviewed": {"type": "boolean"},
}
BASE = "/api/v1/visits"
ROUTES = (
    Route(
        *("GET", BASE, "Visits, newest first; `before` is the id after which the page before ended", visits),
        gives=list[Visit],
        filters=FILTERS | {"before": NUMBER, "limit": NUMBER},
        refuses=(507,),
    ),
    Route("GET", f"{BASE}/{{id:int}}/crop", "The picture of a visit", crop, gives="image/jpeg", refuses=(404, 507)),
    Route(
        *(
            "POST",
            f"{BASE}/{{id:int}}/not/preview",
            'What the review "not" would change among the recent answers',
            preview_not,
        ),
        gives=ChangePreview,
        refuses=(404, 409, 507),
    ),
    Route(
        *("POST", f"{BASE}/review", "Say what visits show, several at once", say),
        takes=Review,
        gives=ReviewResult,
        refuses=(409, 507),
    ),
    Route(
        *("POST", f"{BASE}/remove", "Remove visits with their pictures", remove),
        takes=RemovedVisits,
        gives=Done,
        refuses=(507,),
    ),
    Route(
        *("GET", f"{BASE}/statistics", "How many visits began in each hour, by class", statistics),
        gives=list[Hour],
        filters={"days": NUMBER},
        refuses=(507,),
    ),
    Route(
        *("GET", f"{BASE}/export.csv", "All visits that fit, as a table without pictures", export_csv),
        gives="text/csv",
        filters=FILTERS,
        refuses=(507,),
    ),
    Route(
        *("GET", f"{BASE}/export.json", "The same as JSON", export_json),
        gives=list[ExportedVisit],
        filters=FILTERS,
        refuses=(507,),
    ),
)
