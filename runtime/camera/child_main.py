"""What runs in the child process of a network camera: open the URL, grab for ever, put pictures into shared memory.

It is told where to look through the shared memory itself (arguments are visible to every user of the machine), answers
with one JSON line a frame on stdout, and reads from stdin which slots are free again. It ends when stdin does, however
its parent died.

Run as a script, and it imports nothing of ours: a camera that is away is tried again every other second, and this file
starts in 50 ms where the whole package takes 300.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import queue
import re
import select
import socket
import sys
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable

SLOTS = 3  # one the parent copies, one on its way, one to write into
BACKLOG_S = 2.0
GAP_S = 0.4  # silence after which the next pictures are not taken for new
READ_TIMEOUT_S = 30.0  # the parent loses patience long before and kills us; this is for when it cannot
OPTIONS = "rtsp_flags;prefer_tcp|analyzeduration;500000"  # half a second of looking, not five


class Order(TypedDict):
    """What to read. `port`: None if nobody need be listening on it (UDP)."""

    url: str
    host: str
    port: int | None
    timeout_s: float


def main(memory_fd: int) -> None:
    """Serve frames until the stream or the parent ends; say why in the last line."""
    out = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints must not get between the lines

    def send(**message: Any) -> None:
        os.write(out, json.dumps(message).encode() + b"\n")

    order: Order = json.loads(os.pread(memory_fd, 65536, 0))
    free: queue.SimpleQueue[int] = queue.SimpleQueue()
    for slot in range(SLOTS):
        free.put(slot)
    threading.Thread(target=watch, args=(free, os.getppid()), daemon=True).start()
    try:
        if order["port"]:
            # before 0.3 s of imports: most attempts to come back end here
            socket.create_connection((order["host"], order["port"]), order["timeout_s"]).close()
        capture, fps = open_stream(order["url"], order["timeout_s"])
        skip_backlog(capture)
        serve(capture, fps, memory_fd, free, send)
        send(error="the stream ended")
    except OSError as error:
        send(error=error.strerror or str(error))


def watch(free: queue.SimpleQueue[int], parent: int) -> None:
    """Pass on the slots that are free again, one byte each; end the process with the parent, even in a hung C call."""
    while os.getppid() == parent:  # not only the pipe: a process the parent forked may hold its other end open
        if not select.select([0], [], [], 1.0)[0]:
            continue
        data = os.read(0, SLOTS)
        if not data:
            break
        for slot in data:
            free.put(slot)
    os._exit(0)


def open_stream(url: str, timeout_s: float) -> tuple[Any, float]:
    """Return an open capture and its announced rate. Raises OSError with FFmpeg's last words (401 Unauthorized)."""
    os.environ["OPENCV_LOG_LEVEL"] = "ERROR"
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", OPTIONS)
    os.environ.pop("OPENCV_FFMPEG_LOGLEVEL", None)  # any value at all sends FFmpeg's words to the buffered stdout
    import cv2

    said = unnamed_file()
    os.dup2(said, 2)
    limits = [
        *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(timeout_s * 1000)),
        *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(READ_TIMEOUT_S * 1000)),
        *(cv2.CAP_PROP_N_THREADS, 2),  # every decoder thread holds back one frame; two are enough for 4K at 30 fps
    ]
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, limits)
    words = os.pread(said, 65536, 0).decode(errors="replace").strip().splitlines()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # a damaged stream prints without end
    os.close(said)
    if not capture.isOpened():
        why = re.sub(r"^\[\w+ @ \w+\] ", "", words[-1]) if words else "not a stream it knows"
        raise OSError(f"FFmpeg cannot open it: {why}")
    return capture, capture.get(cv2.CAP_PROP_FPS)


def serve(capture: Any, fps: float, memory_fd: int, free: queue.SimpleQueue[int], send: Callable[..., None]) -> None:
    """Put frames into free slots until the stream ends; those that find none are counted. Raises OSError."""
    import numpy as np

    slots: Any = None
    lost = 0
    gap_s = max(GAP_S, 3 / fps) if 0 < fps <= 1000 else math.inf
    time_s = time.monotonic()
    while capture.grab():
        before_s, time_s = time_s, time.monotonic()
        if slots is not None and time_s - before_s > gap_s:  # what was on its way when the server fell silent is old
            skip_backlog(capture)
            time_s = time.monotonic()
            continue
        if free.empty():
            lost += 1
            continue
        found, image = capture.retrieve()
        if not found:
            continue
        decode_ms = (time.monotonic() - time_s) * 1e3
        if slots is None:
            os.ftruncate(memory_fd, SLOTS * image.nbytes)
            memory = mmap.mmap(memory_fd, SLOTS * image.nbytes)
            slots = np.frombuffer(memory, np.uint8).reshape(SLOTS, *image.shape)
            send(shape=image.shape, fps=fps)
        if image.shape != slots.shape[1:]:
            raise OSError("its pictures changed size")
        slot = free.get()
        slots[slot] = image
        send(slot=slot, time_s=time_s, lost=lost, decode_ms=decode_ms)
        lost = 0


def skip_backlog(capture: Any) -> None:
    """Grab until a grab had to wait: what comes at once was buffered while opening and is up to a second old."""
    began_s = now_s = time.monotonic()
    while now_s - began_s < BACKLOG_S and capture.grab():
        before_s, now_s = now_s, time.monotonic()
        if now_s - before_s > 0.01:
            return


def unnamed_file() -> int:
    """Return a file descriptor for memory that no name leads to, and that is gone with its last user."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("edgefs-camera")
    with tempfile.TemporaryFile() as file:  # macOS
        return os.dup(file.fileno())


if __name__ == "__main__":
    sys.path[:] = sys.argv[2:]  # the parent's, wherever it found cv2
    main(int(sys.argv[1]))
