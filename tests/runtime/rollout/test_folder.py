"""Reading, writing and resuming, in a folder of this machine and on a real HTTP server that breaks off on purpose."""

import re
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import BundleCorrupt, OptionError
from runtime.rollout.folder import Folder, Unreachable

DATA = np.random.default_rng(0).bytes(3_000_000)
DIGEST = sha256(DATA).hexdigest()


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


@pytest.fixture(params=["local", "http"])
def folder(request, tmp_path, server):
    return Folder(str(tmp_path / "local") if request.param == "local" else server)


def never():
    return False


def test_what_was_written_is_read(folder):
    folder.write("some/file.bin", DATA)
    assert folder.read("some/file.bin", len(DATA)) == DATA
    with pytest.raises(Unreachable, match="at most 10 bytes"):
        folder.read("some/file.bin", 10)
    with pytest.raises(Unreachable, match="cannot be reached"):
        folder.read("absent", 10)


def test_a_file_is_fetched_whole_or_not_at_all(folder, tmp_path):
    folder.write("a.zip", DATA)
    folder.fetch("a.zip", tmp_path / "home/a.zip", len(DATA), DIGEST, never)
    assert (tmp_path / "home/a.zip").read_bytes() == DATA
    folder.write("a.zip", DATA[:-1] + b"x")
    with pytest.raises(BundleCorrupt, match="match its sha256"):
        folder.fetch("a.zip", tmp_path / "home/b.zip", len(DATA), DIGEST, never)
    folder.write("a.zip", DATA[:-1])
    with pytest.raises(Unreachable, match=r"must have 3,000,000 bytes, but 2,999,999 came"):
        folder.fetch("a.zip", tmp_path / "home/b.zip", len(DATA), DIGEST, never)
    folder.write("a.zip", DATA)
    (tmp_path / "home/b.zip.part").write_bytes(b"y" * (len(DATA) + 5))  # longer than it can be
    folder.fetch("a.zip", tmp_path / "home/b.zip", len(DATA), DIGEST, never)
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["a.zip", "b.zip"]


def test_a_connection_that_breaks_off_again_and_again_loses_nothing(server, handler, tmp_path):
    folder = Folder(server)
    folder.write("a.zip", DATA)
    handler.cut = 1_000_000
    attempts = 0
    while not (tmp_path / "a.zip").exists():
        attempts += 1
        try:
            folder.fetch("a.zip", tmp_path / "a.zip", len(DATA), DIGEST, never)
        except Unreachable:
            assert attempts < 5
    assert (tmp_path / "a.zip").read_bytes() == DATA
    assert handler.sent == len(DATA)  # no byte came twice
    assert handler.asked == (None, "bytes=1000000-", "bytes=2000000-")


def test_a_server_without_ranges_sends_the_file_again(server, handler, tmp_path):
    folder = Folder(server)
    folder.write("a.zip", DATA)
    handler.ranges, handler.cut = False, 1_000_000
    with pytest.raises(Unreachable):
        folder.fetch("a.zip", tmp_path / "a.zip", len(DATA), DIGEST, never)
    handler.cut = None
    folder.fetch("a.zip", tmp_path / "a.zip", len(DATA), DIGEST, never)
    assert (tmp_path / "a.zip").read_bytes() == DATA


def test_a_fetch_that_is_stopped_goes_on_later(folder, tmp_path):
    folder.write("a.zip", DATA)
    asked = iter([False, True])
    with pytest.raises(Unreachable):
        folder.fetch("a.zip", tmp_path / "a.zip", len(DATA), DIGEST, lambda: next(asked))
    assert 0 < (tmp_path / "a.zip.part").stat().st_size < len(DATA)
    folder.fetch("a.zip", tmp_path / "a.zip", len(DATA), DIGEST, never)


def test_a_server_that_is_away_and_an_address_of_another_kind_are_refused(tmp_path):
    with pytest.raises(Unreachable, match="trying again later"):
        Folder("http://127.0.0.1:9").read("rollout.json", 10)
    with pytest.raises(Unreachable):
        Folder("http://127.0.0.1:9").write("rollout.json", b"")
    for where in ("ftp://server/x", "file:///etc", "http://"):
        with pytest.raises(OptionError, match="path or an http"):
            Folder(where)
    assert Folder(str(tmp_path)).names("absent") == []
