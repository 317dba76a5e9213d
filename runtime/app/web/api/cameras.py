"""Cameras: the preview, the region, and teaching by showing."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from runtime.app.core.messages import Camera, Enrolled, Named, SetRegion, StartTeach
from runtime.app.core.preview import Preview
from runtime.app.core.wake import Wake
from runtime.app.web.api.enrolled import enrolled
from runtime.app.web.routes import BadRequest, Call, NotThere, Route

BOUNDARY = "edgefs"
MAX_VIEWERS = 16


def cameras(call: Call) -> list[Camera]:
    return [call.service.camera(id_) for id_ in call.service.eyes]


async def preview(call: Call) -> Response:
    """Motion JPEG: every viewer gets the newest picture when it is ready for one."""
    source = call.service.eye(call.camera).preview
    if source.watchers >= MAX_VIEWERS:
        raise BadRequest(f"at most {MAX_VIEWERS} may watch a camera; close another page", 429)
    kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
    if call.request.method == "HEAD":
        return Response(media_type=kind)
    return StreamingResponse(_pictures(source), headers={"cache-control": "no-store"}, media_type=kind)


async def _pictures(source: Preview) -> AsyncIterator[bytes]:
    wake = Wake()
    mailbox = source.join(wake)
    try:
        while not mailbox.closed:
            for jpeg in mailbox.take():
                # The boundary comes after the picture, too: a browser shows a part when it sees the next one begin.
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                yield f"--{BOUNDARY}\r\n{head}".encode() + jpeg + b"\r\n"
            await wake.wait()
    finally:
        source.leave(mailbox)


def snapshot(call: Call) -> bytes:
    picture = call.service.eye(call.camera).preview.snapshot()
    if picture is None:
        raise NotThere(f"camera {call.camera} has not shown anything yet")
    return picture


def set_region(call: Call) -> Camera:
    return call.service.set_region(call.camera, call.body.region)


def teach(call: Call) -> Camera:
    return call.service.start_lesson(call.camera, call.body.label)


def pause_teaching(call: Call) -> Camera:
    return call.service.eye(call.camera).pause_lesson()


def stop_teaching(call: Call) -> Enrolled:
    return enrolled(call.service.end_lesson(call.camera, call.body.label))


def cancel_teaching(call: Call) -> Camera:
    return call.service.eye(call.camera).cancel_lesson()


BASE = "/api/v1/cameras"
ROUTES = (
    Route("GET", BASE, "Every camera", cameras, gives=list[Camera]),
    Route(
        *("GET", f"{BASE}/{{camera}}/preview", "What it sees, as Motion JPEG", preview),
        gives=f"multipart/x-mixed-replace; boundary={BOUNDARY}",
        refuses=(404, 429),
    ),
    Route(
        *("GET", f"{BASE}/{{camera}}/snapshot", "Its newest picture", snapshot),
        gives="image/jpeg",
        refuses=(404,),
    ),
    Route(
        *("PUT", f"{BASE}/{{camera}}/region", "Look at a part of the picture only; null: at all of it", set_region),
        takes=SetRegion,
        gives=Camera,
        refuses=(404,),
    ),
    Route(
        *("POST", f"{BASE}/{{camera}}/teach", "Begin to teach what it shows", teach),
        takes=StartTeach,
        gives=Camera,
        refuses=(404, 409),
    ),
    Route(
        *("POST", f"{BASE}/{{camera}}/teach/pause", "Look at no more frames, until it has a name", pause_teaching),
        gives=Camera,
        refuses=(404, 409),
    ),
    Route(
        *("POST", f"{BASE}/{{camera}}/teach/stop", "Store what was kept under a name", stop_teaching),
        takes=Named,
        gives=Enrolled,
        refuses=(404, 409, 507),
    ),
    Route(
        *("DELETE", f"{BASE}/{{camera}}/teach", "Give the lesson up", cancel_teaching),
        gives=Camera,
        refuses=(404, 409),
    ),
)
