"""The camera of a browser: pictures that a page sends over its WebSocket, read like any other live camera."""

from __future__ import annotations

import threading
import time

from runtime.camera.base import FrameSource
from runtime.camera.newest import Grabbed, LiveSource
from runtime.errors import CameraError, CameraMissing, FrameError
from runtime.opencv import decode_image

WAIT_S = 0.5  # how long one call waits for the other side
ABSENT = "No browser sends this camera's picture. Open the page on the device whose camera it is, and choose it again."


class BrowserFeed:
    """Hands the newest picture from the thread that receives it to the thread that reads the camera.

    A picture is taken before the next one is accepted, so a browser that waits for `offer` never sends faster than
    pictures are decoded.

    Attributes:
        connected: Whether a browser sends pictures now.
    """

    fps: float | None = None

    def __init__(self, name: str) -> None:
        self.name = name
        self.connected = False
        self._changed = threading.Condition()
        self._picture: bytes | None = None
        self._interrupted = False

    def open(self) -> FrameSource:
        """Return the source of the connected browser. Raises CameraMissing if none is connected."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.connected, WAIT_S):
                raise CameraMissing(ABSENT)
            self._interrupted = False
        return LiveSource(self)

    def connect(self) -> bool:
        """Reserve the feed for one browser; False if another one sends already."""
        with self._changed:
            if self.connected:
                return False
            self.connected = True
            self._changed.notify_all()
            return True

    def disconnect(self) -> None:
        """End what `connect` began."""
        with self._changed:
            self.connected, self._picture = False, None
            self._changed.notify_all()

    def offer(self, picture: bytes) -> bool:
        """Give an encoded picture and wait until it is taken; returns whether it was, within half a second."""
        with self._changed:
            self._picture = picture
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._picture is None, WAIT_S)

    def grab(self) -> Grabbed | None:
        """Wait for the next picture and decode it; see `Grabber`."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._picture or self._interrupted or not self.connected)
                if self._interrupted:
                    return None
                if not self.connected:
                    raise CameraError(ABSENT)
                picture, self._picture = self._picture, None
                self._changed.notify_all()
            came_s = time.monotonic()
            try:
                image = decode_image(picture or b"", f"a picture of {self.name}")
            except FrameError:
                continue  # the next picture may be whole
            return Grabbed(image, came_s, decode_ms=(time.monotonic() - came_s) * 1e3)

    def interrupt(self) -> None:
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing is open besides the browser's connection, which its WebSocket ends."""
