"""Clips, and a network camera in plain Python: MJPEG over HTTP, which can pause, stop and start again."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from runtime.opencv import encode_jpeg

FRAMES, FPS, WIDTH, HEIGHT = 12, 20, 64, 48


def pictures(count: int = FRAMES) -> np.ndarray[Any, Any]:
    """Return `uint8 [count, HEIGHT, WIDTH, 3]`: noise, for a realistic file size, and a grey level for the index."""
    images = np.random.default_rng(0).integers(0, 255, (count, HEIGHT, WIDTH, 3), np.uint8)
    images[:, : HEIGHT // 2] = (np.arange(count, dtype=np.uint8) * 20)[:, None, None, None]
    return images


def write_video(path: Path, fourcc: str = "mp4v", count: int = FRAMES) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*fourcc), FPS, (WIDTH, HEIGHT))
    for image in pictures(count):
        writer.write(image)
    writer.release()
    return path


@pytest.fixture
def images() -> np.ndarray[Any, Any]:
    return pictures()


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index, image in enumerate(pictures()):
        cv2.imwrite(str(tmp_path / f"frame{index}.png"), image)
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


@pytest.fixture
def raw_streams() -> dict[str, Any]:
    """Functions that make a stream without a container, of so many pictures."""
    return {"H.264": h264, "motion JPEG": motion_jpeg}


def h264(count: int) -> bytes:
    """A baseline H.264 stream of grey pictures of 16 x 16 pixels, each a whole one (IDR, I_PCM)."""
    parameters = _unit(0x67, f"{66:08b}{0:08b}{10:08b}" + _ue(0, 0, 2, 1) + "0" + _ue(0, 0) + "1100")
    picture = _unit(0x68, _ue(0, 0) + "00" + _ue(0, 0, 0) + "000" + _ue(0, 0, 0) + "000")
    return parameters + picture + b"".join(_slice(i) for i in range(count))


def _slice(index: int) -> bytes:
    head = _ue(0, 7, 0) + "0000" + _ue(index % 2) + "00" + _ue(0, 25)
    head += "0" * (-len(head) % 8)  # the pixels begin at a byte
    pixels = bytes([200] * 256 + [128] * 128)
    return _unit(0x65, head + "".join(f"{byte:08b}" for byte in pixels))


def _ue(*numbers: int) -> str:
    """Exponential-Golomb codes."""
    codes = (f"{number + 1:b}" for number in numbers)
    return "".join("0" * (len(code) - 1) + code for code in codes)


def _unit(kind: int, bits: str) -> bytes:
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    return b"\0\0\0\1" + bytes([kind]) + int(bits, 2).to_bytes(len(bits) // 8, "big")


def motion_jpeg(count: int) -> bytes:
    """JPEGs one after another."""
    pictures = (np.full((48, 64, 3), 4 * i, np.uint8) for i in range(count))
    return b"".join(cv2.imencode(".jpg", picture)[1].tobytes() for picture in pictures)


class HttpCamera:
    """A camera with `start`, `stop` (like a power failure) and `pause` (connected, but no frames are sent)."""

    def __init__(self) -> None:
        self.pause = threading.Event()
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://admin:secret@127.0.0.1:{self._port}/video?token=secret"

    def start(self) -> None:
        stopped = self._stopped = threading.Event()
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                jpeg = encode_jpeg(np.full((HEIGHT, WIDTH, 3), 99, np.uint8))
                part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(jpeg), jpeg)
                while not stopped.wait(1 / FPS):
                    try:
                        if not camera.pause.is_set():
                            self.wfile.write(part)
                    except OSError:
                        return

            def log_message(self, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()  # waits for the connections
        self._thread.join()


@pytest.fixture
def http_camera():
    camera = HttpCamera()
    yield camera
    camera.stop()


@pytest.fixture
def leaks_nothing(children):
    """Fail unless every thread, process and file handle that the test opened is closed at its end.

    The server of HttpCamera, in this same process, has two seconds to notice that its clients are gone.
    """

    def owned() -> tuple[set[int], set[threading.Thread], set[int]]:
        handles = {fd for fd in range(256) if Path(f"/proc/self/fd/{fd}").is_symlink()}
        return handles, set(threading.enumerate()), children()

    def opened() -> list[set[Any]]:
        return [now - then for now, then in zip(owned(), before, strict=True)]

    before = owned()  # the end of an earlier test may still close what it holds
    yield
    deadline = time.monotonic() + 2
    while any(opened()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert opened() == [set(), set(), set()]


def wait_until(condition: Any, timeout_s: float = 10.0) -> float:
    """Return after how many seconds the condition held; fail after `timeout_s`."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout_s, "waited in vain"
        time.sleep(0.01)
    return time.monotonic() - began


@pytest.fixture(name="wait_until")
def _wait_until():
    return wait_until


@pytest.fixture(name="write_video")
def _write_video():
    return write_video
