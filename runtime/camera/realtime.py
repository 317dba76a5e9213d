"""Plays a file at its own speed like a camera: frames that are not read in time are dropped."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from runtime.camera.newest import Grabbed, LiveSource

if TYPE_CHECKING:
    from runtime.camera.base import FrameSource


BACKLOG = 4  # frames; a reader that is delayed by a tenth of a second misses none


class _Player:
    """The Grabber that waits until each frame of a source is due."""

    connected = True

    def __init__(self, source: FrameSource) -> None:
        self.name = source.name
        self.fps = source.fps
        self._source = source
        self._start_s: float | None = None
        self._stop = threading.Event()

    def grab(self) -> Grabbed | None:
        began_s = time.monotonic()
        frame = self._source.read()
        decode_s = time.monotonic() - began_s
        if frame is None:
            return None
        if self._start_s is None:  # the clock starts with the first frame, after the decoder has started
            self._start_s = time.monotonic() - frame.time_s
        due_s = self._start_s + frame.time_s
        stopped = self._stop.wait(max(0.0, due_s - time.monotonic()))
        if stopped:
            return None
        # A camera captures a picture and decodes it afterwards. Here it was decoded before it was due.
        return Grabbed(frame.image, time.monotonic() - decode_s, decode_ms=decode_s * 1e3)

    def interrupt(self) -> None:
        self._stop.set()
        self._source.close()  # this also ends the wait of a stalled FakeCamera

    def close(self) -> None:
        self._source.close()


def realtime(source: FrameSource) -> LiveSource:
    """Return a live source that plays a file or a FakeCamera by the `time_s` of its frames, and closes it."""
    return LiveSource(_Player(source), backlog=BACKLOG)
