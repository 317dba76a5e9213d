"""Adding, naming and removing sources, the cameras that are connected to the device, and the camera of a browser."""

from __future__ import annotations

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect

from runtime.app.core.messages import AddCamera, Camera, CameraName, Device, Done
from runtime.app.core.preview import thumbnail
from runtime.app.web.routes import App, Call, NotFound, Route
from runtime.camera import open_camera
from runtime.camera.devices import connected_cameras

PATH = "/api/v1/cameras/{camera}/frames"
BUSY = 1013  # the close code for "try again later"


def add(call: Call) -> Camera:
    return call.service.cameras.add(call.body.what, call.body.name)


def rename(call: Call) -> Camera:
    return call.service.cameras.rename(call.camera, call.body.name)


def remove(call: Call) -> Done:
    return Done(call.service.cameras.remove(call.camera))


def devices(call: Call) -> list[Device]:
    readers = {worker.reader.device: id_ for id_, worker in call.service.workers.items()}
    return [Device(number, name, readers.get(number)) for number, name in connected_cameras().items()]


def device_picture(call: Call) -> bytes:
    """Open a connected camera for one picture; a camera that is being read already has its own preview."""
    if call.id not in connected_cameras():
        raise NotFound(f"Camera {call.id} must be connected to this device, but it is not.")
    with call.app.decoding, open_camera(call.id, open_timeout_s=3.0) as source:
        frame = source.read(3.0)
    if frame is None:
        raise NotFound(f"Camera {call.id} must send a picture, but it sent none.")
    return thumbnail(frame.image)


async def frames(app: App, socket: WebSocket) -> None:
    """Receive the pictures of a browser's camera, JPEG or WebP; "next" asks for the next one."""
    feed = app.service.cameras.added.feeds.get(socket.path_params["camera"])
    if feed is None or not feed.connect():
        await socket.close(BUSY if feed else 1008)
        return
    limiter = anyio.CapacityLimiter(1)  # a thread of its own: this one waits for the camera
    try:
        await socket.accept()
        while True:
            await socket.send_text("next")
            picture = await socket.receive_bytes()
            await anyio.to_thread.run_sync(feed.offer, picture, limiter=limiter)
    except (WebSocketDisconnect, KeyError, RuntimeError):  # KeyError: a text; RuntimeError: the other side had closed
        pass
    finally:
        feed.disconnect()


BASE = "/api/v1/cameras"
ROUTES = (
    Route("POST", BASE, "Add a source, also for the next start", add, takes=AddCamera, gives=Camera),
    Route(
        *("PATCH", f"{BASE}/{{camera}}", "Give a camera another name", rename),
        takes=CameraName,
        gives=Camera,
        refuses=(404,),
    ),
    Route("DELETE", f"{BASE}/{{camera}}", "Remove a source", remove, gives=Done, refuses=(404,)),
    Route("GET", "/api/v1/devices", "The cameras that are connected to the device", devices, gives=list[Device]),
    Route(
        *("GET", "/api/v1/devices/{id:int}/picture", "One picture of a connected camera", device_picture),
        gives="image/jpeg",
        refuses=(404, 422),
    ),
)
