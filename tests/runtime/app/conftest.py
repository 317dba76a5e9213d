"""A whole live service on a fake camera and the tiny bundle, behind a real HTTP server on a free port."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from runtime.app.actions.actions import Actions
from runtime.app.core.camera_reader import CameraSource
from runtime.app.core.service import Service
from runtime.app.visits.log import VisitLog
from runtime.app.web.metrics import Metrics
from runtime.app.web.server import Server, build, listen, policy_for
from runtime.app.web.users import User, load_users
from runtime.bundle import Bundle
from runtime.camera import FakeCamera, realtime
from runtime.recognizer import Recognizer


@dataclass
class Live:
    """A running app. `http` is a client that sends requests like the page."""

    service: Service
    server: Server
    http: httpx.Client
    camera: FakeCamera
    token: str | None
    viewer_token: str | None

    @property
    def port(self) -> int:
        return self.server.port

    def wait(self, what: Callable[[], object], timeout_s: float = 10) -> object:
        """Poll until `what()` is true; returns it."""
        deadline = time.monotonic() + timeout_s
        while not (found := what()):
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.02)
        return found


@contextmanager
def running(
    bundle: Bundle,
    folder: Path,
    frames: list,
    *,
    host: str = "127.0.0.1",
    visits: bool = False,
    gallery: str | None = None,
) -> Iterator[Live]:
    """Start the service and the server, and stop them in the order of the app. `gallery` may be that of a site."""
    camera = FakeCamera(frames, fps=30, loop=True)
    users: list[User] = []
    tokens: dict[str, str] = {}
    if host != "127.0.0.1":
        users, tokens = load_users({"anna": "teacher", "till": "viewer"}, folder / "users.json")
    clear = tokens.get("anna")
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    metrics = Metrics()
    with Recognizer(bundle, gallery=gallery or folder / "gallery.db", engine="onnxruntime", threads=1) as recognizer:
        source = CameraSource("fake camera", lambda: realtime(camera))
        kept = VisitLog(recognizer.gallery.path, bundle.fingerprint) if visits else None
        service = Service(recognizer, [source], device="test", on_answer=metrics.count, visits=kept)
        metrics.watch(service)
        actions = Actions((), folder / "actions.db", device="test", camera_name=str)
        actions.start(service.hub)
        with Server(build(service, policy_for(host, port, users), metrics, actions), listener) as server:
            headers = {"Authorization": f"Bearer {clear}"} if clear else {}
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=10) as http:
                service.start()
                live = Live(service, server, http, camera, clear, tokens.get("till"))
                live.wait(lambda: service.camera("0").state == "live")
                yield live
            service.close()
        actions.close()


@pytest.fixture
def start(tiny, tiny_bundle) -> Callable[..., AbstractContextManager[Live]]:
    """Starts the app, with the files of its visits, in a folder."""
    return lambda folder, **options: running(tiny_bundle, folder, tiny.views(1, 60), visits=True, **options)


@pytest.fixture
def live(tiny, tiny_bundle, tmp_path) -> Iterator[Live]:
    """The app as it is by default: only this machine can connect, without a token."""
    with running(tiny_bundle, tmp_path, tiny.views(1, 60)) as live:
        yield live


@pytest.fixture(scope="module")
def shared_live(tiny, tiny_bundle, tmp_path_factory) -> Iterator[Live]:
    """The same for tests that change nothing."""
    with running(tiny_bundle, tmp_path_factory.mktemp("live"), tiny.views(1, 60)) as live:
        yield live


@pytest.fixture(scope="module")
def public_live(tiny, tiny_bundle, tmp_path_factory) -> Iterator[Live]:
    """The app as if it listened on every address: everything needs a token, of anna (teacher) or till (viewer)."""
    with running(tiny_bundle, tmp_path_factory.mktemp("public"), tiny.views(1, 60), host="0.0.0.0") as live:
        yield live
