"""A network camera that reconnects: if its child process sends nothing or ends, a new one is started.

Nothing of the old connection is kept. So the frames that FFmpeg had buffered (28 were seen) are lost with it.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runtime.camera.base import redact
from runtime.camera.child import Child, ChildLost
from runtime.camera.newest import patience
from runtime.errors import CameraMissing

if TYPE_CHECKING:
    from runtime.camera.child_main import Order
    from runtime.camera.newest import Grabbed

REOPEN_LEAST_S = 4.0
RETRY_FIRST_S = 0.2
RETRY_MOST_S = 2.0  # a refused attempt costs about 50 ms of CPU, so longer waits are not needed

PORTS = {
    "rtsp": 554,
    "rtsps": 322,
    "http": 80,
    "https": 443,
}  # TCP ports, so it is known at once whether a server listens

log = logging.getLogger(__name__)


class NetworkCamera:
    """The Grabber for a URL. A failure of the first connection is raised; later ones are retried without end."""

    fps: float | None = None
    connected = False

    def __init__(self, url: str, stall_s: float, open_timeout_s: float) -> None:
        self.name = redact(url)
        self._order = _order(url, open_timeout_s)
        self._stall_s = stall_s
        self._child: Child | None = None
        self._seen = False
        self._opened_s = 0.0
        self._allow_s = open_timeout_s  # for the first frame of the next connection
        self._retry_s = RETRY_FIRST_S
        self._stop = threading.Event()
        self._lock = threading.Lock()  # so that `interrupt` does not miss a child that is just being started

    def grab(self) -> Grabbed | None:
        """Return the next frame, reconnecting as needed. Raises CameraMissing if the first connection fails."""
        while (child := self._running()) is not None:
            try:
                grabbed = child.next(patience(self._stall_s, self.fps) if self.connected else self._allow_s)
            except ChildLost as lost:
                self._lose(str(lost))
                continue
            if not self.connected:
                self._found(child)
            return grabbed
        return None

    def interrupt(self) -> None:
        with self._lock:
            self._stop.set()
            if self._child is not None:
                self._child.kill()

    def close(self) -> None:
        with self._lock:
            if self._child is not None:
                self._child.close()
                self._child = None

    def _running(self) -> Child | None:
        """Return the child and start it if there is none; None after `interrupt`."""
        with self._lock:
            if self._stop.is_set():
                return None
            if self._child is None:
                self._child = Child(self._order)
                self._opened_s = time.monotonic()
            return self._child

    def _found(self, child: Child) -> None:
        """Record the first frame of a connection, and how long the next may take, because opening can hang forever."""
        self.fps = child.fps
        self.connected = self._seen = True
        self._retry_s = RETRY_FIRST_S
        self._allow_s = min(max(REOPEN_LEAST_S, 2 * (time.monotonic() - self._opened_s)), self._order["timeout_s"])

    def _lose(self, reason: str) -> None:
        """End the child and wait before the next attempt. Raises CameraMissing if there has never been a frame."""
        if not self.connected:
            self._allow_s = min(2 * self._allow_s, self._order["timeout_s"])
        self.connected = False
        self.close()
        if self._stop.is_set():
            return
        if not self._seen:
            raise CameraMissing(
                f"{self.name} must be a camera or stream that can be opened, but: {redact(reason)}. "
                "Do: check address, path, user and password, and that this machine can play it: ffplay URL"
            )
        log.warning("%s lost (%s); trying again in %.1f s", self.name, reason, self._retry_s)
        self._stop.wait(self._retry_s)
        self._retry_s = min(2 * self._retry_s, RETRY_MOST_S)


def _order(url: str, timeout_s: float) -> Order:
    """Return the order for the child. Raises CameraMissing if the URL is malformed."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme.lower())
    except ValueError as error:  # a port that is no number, or a malformed IPv6 address
        raise CameraMissing(
            f"{redact(url)} must be a URL like rtsp://user:password@host:554/path, but: {error}"
        ) from error
    tcp = parts.scheme.lower() in PORTS
    return {"url": url, "host": parts.hostname or "", "port": port if tcp else None, "timeout_s": timeout_s}
