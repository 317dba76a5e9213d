"""Cameras: preview, region, and the teaching session."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from runtime.app.core.hub import AsyncNotification
from runtime.app.core.messages import Camera, CutRegion, Enrolled, Named, SetRegion, SetRegions, StartTeach
from runtime.app.core.preview import WIDTHS, Preview
from runtime.app.web.api.convert import enrolled
from runtime.app.web.routes import BadRequest, Call, NotFound, Route

BOUNDARY = "edgefs"
MAX_VIEWERS = 16


def cameras(call: Call) -> list[Camera]:
    return [call.service.camera(id_) for id_ in call.service.workers]


async def preview(call: Call) -> Response:
    """Motion JPEG: every viewer gets the newest picture as soon as it has read the one before."""
    source = call.service.worker(call.camera).preview
    if source.viewers >= MAX_VIEWERS:
        raise BadRequest(f"At most {MAX_VIEWERS} viewers may watch a camera. Close another page.", 429)
    kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
    if call.request.method == "HEAD":
        return Response(media_type=kind)
    width = call.request.query_params.get("width", "")
    pixels = int(width) if width.isdecimal() and len(width) < 6 else WIDTHS[-1]
    return StreamingResponse(_pictures(source, pixels), headers={"cache-control": "no-store"}, media_type=kind)


async def _pictures(source: Preview, width: int) -> AsyncIterator[bytes]:
    notification = AsyncNotification()
    mailbox = source.subscribe(notification, width)
    try:
        while not mailbox.closed:
            for jpeg in mailbox.take():
                # The boundary follows the picture too: a browser shows a part when the next one begins.
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                yield f"--{BOUNDARY}\r\n{head}".encode() + jpeg + b"\r\n"
            await notification.wait()
    finally:
        source.unsubscribe(mailbox)


def snapshot(call: Call) -> bytes:
    picture = call.service.worker(call.camera).preview.snapshot()
    if picture is None:
        raise NotFound(f"Camera {call.camera} must have sent a frame, but it has sent none yet.")
    return picture


def set_region(call: Call) -> Camera:
    return call.service.cameras.set_region(call.camera, call.body.region)


def set_regions(call: Call) -> Camera:
    return call.service.cameras.set_named_regions(call.camera, call.body.regions)


def teach(call: Call) -> Camera:
    return call.service.start_teaching(call.camera, call.body.label)


def pause_teaching(call: Call) -> Camera:
    return call.service.worker(call.camera).pause_teaching()


def cut_teaching(call: Call) -> Camera:
    return call.service.cameras.cut_teaching(call.camera, call.body.region)


def stop_teaching(call: Call) -> Enrolled:
    return enrolled(call, call.service.stop_teaching(call.camera, call.body.label))


def cancel_teaching(call: Call) -> Camera:
    return call.service.worker(call.camera).cancel_teaching()


BASE = "/api/v1/cameras"
ROUTES = (
    Route("GET", BASE, "Every camera", cameras, gives=list[Camera]),
    Route(
        *(
            "GET",
            f"{BASE}/{{camera}}/preview",
            "The camera's picture as Motion JPEG, for a screen of `?width` pixels",
            preview,
        ),
        gives=f"multipart/x-mixed-replace; boundary={BOUNDARY}",
        refuses=(404, 429),
    ),
    Route(
        *("GET", f"{BASE}/{{camera}}/snapshot", "The newest frame", snapshot),
        gives="image/jpeg",
        refuses=(404,),
    ),
    Route(
        *("PUT", f"{BASE}/{{camera}}/region", "Look at a part of the frame; null for the whole frame", set_region),
        takes=SetRegion,
        gives=Camera,
        refuses=(404,),
    ),
    Route(
        *("PUT", f"{BASE}/{{camera}}/regions", "Answer these named regions besides the frame", set_regions),
        takes=SetRegions,
        gives=Camera,
        refuses=(404,),
    ),
    Route(
        *("POST", f"{BASE}/{{camera}}/teach", "Begin to teach what the camera shows", teach),
        takes=StartTeach,
        gives=Camera,
        refuses=(404, 409),
    ),
    Route(
        *(
            "POST",
            f"{BASE}/{{camera}}/teach/pause",
            "Look at no more frames until there is a name",
            pause_teaching,
        ),
        gives=Camera,
        refuses=(404, 409),
    ),
    Route(
        *(
            "POST",
            f"{BASE}/{{camera}}/teach/region",
            "Keep only a region of what was shown, and look at it",
            cut_teaching,
        ),
        takes=CutRegion,
        gives=Camera,
        refuses=(404, 409),
    ),
    Route(
        *("POST", f"{BASE}/{{camera}}/teach/stop", "Store the shots under a label", stop_teaching),
        takes=Named,
        gives=Enrolled,
        refuses=(404, 409, 507),
    ),
    Route(
        *("DELETE", f"{BASE}/{{camera}}/teach", "Discard the teaching session", cancel_teaching),
        gives=Camera,
        refuses=(404, 409),
    ),
)
