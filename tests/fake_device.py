"""A fake device for the page: the responses of the API as data, served by intercepting the browser's requests.

It has no socket, camera or clock. A test sets `state`, sends messages over the WebSocket with `send`, and finds in
`calls` what the page requested. So every state of a device can be shown, a full disk included.
"""

from __future__ import annotations

import json
import mimetypes
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np

STATIC = Path(__file__).parents[1] / "runtime" / "app" / "web" / "static"
ORIGIN = "http://edgefs.test"
# as strict as the policy of the server
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def camera(id_: str = "0", **changes: Any) -> dict[str, Any]:
    return {
        "id": id_, "name": "shop-cam-1", "state": "live", "message": "", "fps": 30.0, "width": 1280, "height": 720,
        "region": None, "frame_age_s": 0.02, "drops": 0, "teaching": False, "regions": [],
    } | changes  # fmt: skip


def taught(label: str, first_shot: int, **changes: Any) -> dict[str, Any]:
    return {
        "label": label, "shots": 14, "views": 12, "bursts": 2, "reliable": True, "advice": "reliable", "similar": [],
        "crops": list(range(first_shot, first_shot + 6)),
    } | changes  # fmt: skip


def operation(id_: int, what: str) -> dict[str, Any]:
    return {"id": id_, "time_s": 0.0, "what": what}


def answer(label: str | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "type": "answer", "camera": "0", "id": 900, "stable": label, "suggestion": None, "label": label,
        "certainty": "sure" if label else "unknown", "candidate": label or "mug", "score": 0.83,
        "threshold": 0.61, "runner_up": "cap", "margin": 0.31, "age_ms": 21.0,
        "check": "accepted" if label else "score",
        "timings_ms": {"capture": 0.4, "decode": 4.1, "preprocess": 0.6, "embed": 2.1, "match": 0.2, "publish": 0.3,
                       "total": 12.2},
    } | changes  # fmt: skip


def visit(id_: int, label: str | None = "mug", **changes: Any) -> dict[str, Any]:
    now = time.time()
    return {
        "id": id_, "camera": "shop-cam-1", "label": label, "certainty": "sure" if label else "unknown",
        "suggestion": label, "score": 0.81, "begun_s": now - 60 * id_, "ended_s": now - 60 * id_ + 40, "frames": 798,
        "review": None, "review_label": None,
    } | changes  # fmt: skip


def shot(id_: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": id_, "negative": False, "burst": "b", "quality": 0.9, "source": "camera shop-cam-1",
        "time_s": time.time(), "crop": True,
    } | changes  # fmt: skip


def rule(name: str, **changes: Any) -> dict[str, Any]:
    now = time.time()
    results = [
        {"id": "b", "time_s": now - 130, "ok": False, "tries": 3, "what": "the server answered 503 Busy"},
        {"id": "a", "time_s": now - 900, "ok": True, "tries": 1, "what": "204 No Content"},
    ]
    return {
        "name": name, "kind": "webhook", "target": "http://192.168.1.5/hook", "signed": True, "label": "mug",
        "certainty": "sure", "camera": None, "dwell_s": 2.0, "fixed": False, "waiting": 1, "results": results,
    } | changes  # fmt: skip


def site(**changes: Any) -> dict[str, Any]:
    return {
        "address": "postgresql://till@db/shop", "connected": True, "problem": None, "unsent": 0, "crops_to_come": 0,
        "conflicts": 0, "role": "teacher",
    } | changes  # fmt: skip


def conflict(**changes: Any) -> dict[str, Any]:
    def change(device: str, what: str) -> dict[str, Any]:
        return {"origin": f"{device}/1f2e3d4c", "n": 7, "device": device, "what": what, "time_s": 0.0,
                "can_take_back": True}  # fmt: skip

    return {
        "text": "'mug' was forgotten at one place and could not be changed any more at another",
        "changes": [change("camera1", "renamed 'mug' to 'cup'"), change("till", "forgot 'mug' (3 shots)")],
    } | changes


class FakeDevice:
    """The fake device.

    Attributes:
        state: The response to `GET state`.
        answers: (method, path) -> (status, JSON) of other responses.
        pictures: name -> JPEG; "preview" is the camera, all others fall back to "crop".
        calls: (method, path, query, body) of every request under api/v1.
        previews: How often the camera's picture was requested.
    """

    def __init__(self, **state: Any) -> None:
        self.state: dict[str, Any] = {
            "device": "bench-3", "bundle": {"name": "default", "fingerprint": "5f2c" * 16, "engine": "onnxruntime",
                                            "metric": "cosine", "input": [128, 128, 3]},
            "gallery": {"path": "shop.db", "writable": True, "classes": 0, "mismatch": None,
                        "undo_minutes": 30}, "cameras": [camera()],
            "classes": [], "inbox": [], "undo": None, "redo": None, "stranger_rate": 0.05, "viewers": 1,
        } | state  # fmt: skip
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {}
        self.pictures: dict[str, bytes] = {}
        self.calls: list[tuple[str, str, dict[str, str], Any]] = []
        self.online = True
        self.previews = 0
        self.sockets: list[Any] = []

    def attach(self, page: Any) -> None:
        """Answer a Playwright page's requests to ORIGIN, and abort all others."""
        page.route("**/*", self._serve)
        page.route_web_socket("**/api/v1/events", self._listen)

    def send(self, **message: Any) -> None:
        """Send one message over every open WebSocket."""
        for socket in self.sockets:
            socket.send(json.dumps(message))

    def change(self, **state: Any) -> None:
        """Change the state and send it to the page."""
        self.state |= state
        self.send(type="state", **self.state)

    def drop(self) -> None:
        """Stop answering, as a device does whose cable was pulled."""
        self.online = False
        for socket in self.sockets:
            socket.close()
        self.sockets.clear()

    def _listen(self, socket: Any) -> None:
        self.sockets.append(socket)
        socket.send(json.dumps({"type": "hello", **self.state}))

    def _serve(self, route: Any) -> None:
        request = route.request
        url = urlsplit(request.url)
        if f"{url.scheme}://{url.netloc}" != ORIGIN or (not self.online and url.path.startswith("/api")):
            route.abort()
        elif url.path == "/" or url.path.startswith("/static/"):
            self._file(route, STATIC / (url.path.removeprefix("/static/") if url.path != "/" else "index.html"))
        elif request.method == "GET" and url.path.endswith(("/crop", "/preview")):
            self.previews += url.path.endswith("/preview")
            name = "preview" if url.path.endswith("/preview") else url.path.removeprefix("/api/v1/")
            body = self.pictures.get(name) or self.pictures.get("crop") or grey()
            route.fulfill(body=body, content_type="image/jpeg")
        else:
            self._api(route, request, url.path.removeprefix("/api/v1/"), url.query)

    def _api(self, route: Any, request: Any, path: str, query: str) -> None:
        body = request.post_data if request.method in ("POST", "PUT", "PATCH") else None
        if body and "json" in request.headers.get("content-type", ""):
            body = json.loads(body)
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        if path not in ("state", "user"):
            self.calls.append((request.method, path, asked, body))
        status, body = self.answers.get((request.method, path), (200, self.state if path == "state" else {}))
        route.fulfill(status=status, body=json.dumps(body), content_type="application/json")

    def _file(self, route: Any, path: Path) -> None:
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        headers = {"content-type": kind, "content-security-policy": POLICY}
        route.fulfill(body=path.read_bytes(), headers=headers)


def grey(width: int = 160, height: int = 120) -> bytes:
    """A grey picture as JPEG."""
    return cv2.imencode(".jpg", np.full((height, width, 3), 128, np.uint8))[1].tobytes()  # type: ignore[no-any-return]
