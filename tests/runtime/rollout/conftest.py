"""Keys, the places of a rollout, and a device with a gallery."""

import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("cryptography", reason="pip install cryptography")

from runtime.recognizer import Recognizer
from runtime.rollout.follower import Follower
from runtime.rollout.opening import open_place
from runtime.signing import make_keys


class Clock:
    """Seconds that a test sets."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def key(tmp_path):
    """The author's private key; `trusted` holds the public one."""
    (tmp_path / "trusted").mkdir()
    shutil.move(make_keys(tmp_path / "maker.key"), tmp_path / "trusted" / "maker.pub")
    return tmp_path / "maker.key"


@pytest.fixture
def trusted(key, tmp_path):
    return tmp_path / "trusted"


@pytest.fixture
def other_key(tmp_path):
    """The key of somebody whom no device trusts."""
    make_keys(tmp_path / "other.key")
    return tmp_path / "other.key"


@pytest.fixture(scope="session")
def new_bundle(tiny):
    """Another model, of another dimension."""
    return tiny.bundle(seed=1, dim=48)


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "published")


@pytest.fixture
def device(tmp_path, tiny, tiny_bundle, trusted, clock, folder):
    """`device()` returns a follower and a recognizer on its gallery of three things; call it again for a restart."""
    opened = []

    def start(where=folder, name="device 1"):
        follower = Follower(where, tmp_path / "home", tiny_bundle, name, trusted, engine={"threads": 1}, clock=clock)
        bundle = follower.bundle()
        recognizer = Recognizer(bundle, gallery=tmp_path / "shop.db", engine="onnxruntime", threads=1, reembed=True)
        opened.append(recognizer)
        if not recognizer.labels:
            for seed in range(3):
                recognizer.enroll(f"thing {seed}", tiny.views(seed, 4))
        return follower, recognizer

    yield start
    for recognizer in opened:
        recognizer.close()


class Handler(BaseHTTPRequestHandler):
    """Serves a folder, takes PUT and ranges, and closes the connection after `cut` bytes of a file."""

    protocol_version = "HTTP/1.1"
    ranges = True
    cut = None
    sent = 0
    asked = ()

    def do_GET(self):
        path = Path(self.server.root + self.path)
        if not path.is_file():
            self.send_error(404)
            return
        data, start = path.read_bytes(), 0
        found = re.match(r"bytes=(\d+)-$", self.headers.get("Range", ""))
        type(self).asked = (*self.asked, self.headers.get("Range"))
        if found and self.ranges:
            start = int(found[1])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        part = data[start : None if self.cut is None else start + self.cut]
        type(self).sent += len(part)
        self.wfile.write(part)
        if self.cut is not None:
            self.close_connection = True

    def do_PUT(self):
        path = Path(self.server.root + self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def handler():
    return type("Own", (Handler,), {})


@pytest.fixture
def server(tmp_path, handler):
    """The address of the server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        running.root = str(tmp_path / "served")
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture(params=["local", "http", pytest.param("database", marks=pytest.mark.fleet)])
def place(request, tmp_path):
    """A place of each kind."""
    if request.param == "local":
        return open_place(str(tmp_path / "local"))
    return open_place(request.getfixturevalue("server" if request.param == "http" else "site"))
