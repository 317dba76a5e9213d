"""The program of the child process of a network camera: open the URL and write every frame into shared memory.

It reads the URL from the shared memory (arguments are visible to every user of the machine), writes one JSON line per
frame to stdout, and reads from stdin which slots are free again. It ends when stdin is closed, so also when the parent
was killed.

It runs as a script and imports no module of this project: an absent camera is tried again every two seconds, and this
file starts in 50 ms, while the package takes 300 ms.
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

SLOTS = 3  # one that the parent copies, one that was announced, one to write into
BACKLOG_S = 2.0
GAP_S = 0.4  # after a pause this long, the next pictures are taken from a buffer and are old
READ_TIMEOUT_S = 30.0  # the parent ends this process long before; this is for the case that it cannot
OPTIONS = "rtsp_flags;prefer_tcp|analyzeduration;500000"  # analyse the stream for 0.5 s instead of 5 s


class Order(TypedDict):
    """What to read. `port` is None if no server need listen on it (UDP)."""

    url: str
    host: str
    port: int | None
    timeout_s: float


def main(memory_fd: int) -> None:
    """Send frames until the stream or the parent ends; the last line says why."""
    out = os.dup(1)
    os.dup2(2, 1)  # so that output of a library does not mix with our lines

    def send(**message: Any) -> None:
        os.write(out, json.dumps(message).encode() + b"\n")

    order: Order = json.loads(os.pread(memory_fd, 65536, 0))
    free: queue.SimpleQueue[int] = queue.SimpleQueue()
    for slot in range(SLOTS):
        free.put(slot)
    threading.Thread(target=watch, args=(free, os.getppid()), daemon=True).start()
    try:
        if order["port"]:
            # checked before imports of 0.3 s, because most attempts to reconnect fail here
            socket.create_connection((order["host"], order["port"]), order["timeout_s"]).close()
        capture, fps = open_stream(order["url"], order["timeout_s"])
        skip_backlog(capture)
        serve(capture, fps, memory_fd, free, send)
        send(error="the stream ended")
    except OSError as error:
        send(error=error.strerror or str(error))


def watch(free: queue.SimpleQueue[int], parent: int) -> None:
    """Collect free slots, one byte each; end the process when the parent ends, even if a C call hangs."""
    while (
        os.getppid() == parent
    ):  # the pipe is not enough: a process that the parent forked may keep its other end open
        if not select.select([0], [], [], 1.0)[0]:
            continue
        data = os.read(0, SLOTS)
        if not data:
            break
        for slot in data:
            free.put(slot)
    os._exit(0)


def open_stream(url: str, timeout_s: float) -> tuple[Any, float]:
    """Return an open capture and its announced rate. Raises OSError with FFmpeg's last message (401 Unauthorized)."""
    os.environ["OPENCV_LOG_LEVEL"] = "ERROR"
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", OPTIONS)
    os.environ.pop("OPENCV_FFMPEG_LOGLEVEL", None)  # if it is set, FFmpeg prints to the buffered stdout
    import cv2

    log = unnamed_file()
    os.dup2(log, 2)
    limits = [
        *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(timeout_s * 1000)),
        *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(READ_TIMEOUT_S * 1000)),
        *(cv2.CAP_PROP_N_THREADS, 2),  # each decoder thread delays one frame; two are enough for 4K at 30 fps
    ]
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, limits)
    lines = os.pread(log, 65536, 0).decode(errors="replace").strip().splitlines()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # a damaged stream prints endlessly
    os.close(log)
    if not capture.isOpened():
        why = re.sub(r"^\[\w+ @ \w+\] ", "", lines[-1]) if lines else "not a stream it knows"
        raise OSError(f"FFmpeg cannot open it: {why}")
    return capture, capture.get(cv2.CAP_PROP_FPS)


def serve(capture: Any, fps: float, memory_fd: int, free: queue.SimpleQueue[int], send: Callable[..., None]) -> None:
    """Write frames into free slots until the stream ends; count those for which no slot is free. Raises OSError."""
    import numpy as np

    slots: Any = None
    lost = 0
    gap_s = max(GAP_S, 3 / fps) if 0 < fps <= 1000 else math.inf
    time_s = time.monotonic()
    while capture.grab():
        before_s, time_s = time_s, time.monotonic()
        if slots is not None and time_s - before_s > gap_s:  # frames sent before the pause are old
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
    """Grab until a grab has to wait: frames that come at once were buffered and are up to a second old."""
    began_s = now_s = time.monotonic()
    while now_s - began_s < BACKLOG_S and capture.grab():
        before_s, now_s = now_s, time.monotonic()
        if now_s - before_s > 0.01:
            return


def unnamed_file() -> int:
    """Return a file descriptor for memory without a name, which is freed with its last user."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("edgefs-camera")
    with tempfile.TemporaryFile() as file:  # macOS
        return os.dup(file.fileno())


if __name__ == "__main__":
    sys.path[:] = sys.argv[2:]  # the parent's, so that cv2 is found in the same place
    main(int(sys.argv[1]))
