"""Keeps only the newest frame of a live camera. A thread grabs frames; those that are not read are counted and dropped.

A reader that is slower than its camera must get the present frame, not a growing queue of past ones. With `backlog` a
few frames may wait, so that a short delay of the reader loses none; this is used for files played in real time.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from runtime.camera.base import Frame, FrameSource, Region, State, check_region, crop
from runtime.errors import CameraError, EdgefsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STALL_S = 2.0
JOIN_S = 5.0  # longer than a grab takes that returns at all: V4L2 waits 2 s, see opencv.py


class Grabbed(NamedTuple):
    """A captured frame: `uint8 [H, W, 3]` BGR, `time.monotonic()` at capture, and how many were lost just before."""

    image: NDArray[np.uint8]
    time_s: float
    lost: int = 0
    decode_ms: float = 0.0


class Grabber(Protocol):
    """The part of a camera that blocks. `grab` and `close` are called by one thread, `interrupt` by any."""

    name: str
    fps: float | None
    connected: bool

    def grab(self) -> Grabbed | None:
        """Wait for the next frame; None at the end or after `interrupt`. Raises CameraError if the camera is lost."""
        ...

    def interrupt(self) -> None:
        """Make a waiting `grab` return soon."""
        ...

    def close(self) -> None:
        """Release everything."""
        ...


class LiveSource(FrameSource):
    """A FrameSource around any Grabber.

    Args:
        grabber: The camera.
        region: The part of each frame to return; None for the whole frame.
        stall_s: A camera that sends nothing for longer counts as stalled; see `patience`.
        backlog: How many frames may wait to be read.
    """

    live = True

    def __init__(
        self, grabber: Grabber, region: Region | None = None, stall_s: float = STALL_S, backlog: int = 1
    ) -> None:
        self.name = grabber.name
        self._region = check_region(region)
        self._stall_s = stall_s
        self._grabber = grabber
        self._changed = threading.Condition()  # guards the attributes below
        self._waiting: deque[Frame] = deque(maxlen=backlog)  # captured but not yet read; the oldest is dropped
        self._captured = 0
        self._returned = 0
        self._seen_s = time.monotonic()
        self._ended = False
        self._error: EdgefsError | None = None
        self._thread = threading.Thread(target=self._run, name=f"camera {self.name}", daemon=True)
        self._thread.start()

    @property
    def fps(self) -> float | None:  # type: ignore[override]
        return self._grabber.fps

    @property
    def state(self) -> State:
        if self._ended:
            return "ended"
        if not self._grabber.connected:
            return "reconnecting"
        return "stalled" if self._silent_s() > patience(self._stall_s, self.fps) else "live"

    @property
    def dropped(self) -> int:
        with self._changed:
            return self._captured - self._returned - len(self._waiting)

    def wait_ready(self, timeout_s: float) -> None:
        """Wait for the first frame without reading it. Raises CameraError if none comes."""
        with self._changed:
            self._changed.wait_for(self._has_news, timeout_s)
            if not self._waiting:
                raise self._error or self._silence(timeout_s)

    def read(self, timeout_s: float | None = None) -> Frame | None:
        with self._changed:
            self._changed.wait_for(self._has_news, timeout_s)
            frame = self._waiting.popleft() if self._waiting else None
            if frame is not None:
                self._returned += 1
            elif self._error is not None:
                raise self._error
            elif self._ended:
                return None
            else:
                raise self._silence(timeout_s)
        return replace(frame, image=crop(frame.image, self._region))

    def close(self) -> None:
        with self._changed:
            self._ended, self._error = True, None
            self._waiting.clear()
            self._changed.notify_all()
        self._grabber.interrupt()
        self._thread.join(JOIN_S)

    def _run(self) -> None:
        """Grab until the end, then release the camera in the same thread."""
        error: EdgefsError | None = None
        try:
            while not self._ended and (grabbed := self._grabber.grab()) is not None:
                self._keep(grabbed)
        except EdgefsError as lost:
            error = lost
        except Exception as bug:  # a reader gets the reason why the thread ended
            error = CameraError(f"{self.name} stopped: {type(bug).__name__}: {bug}")
        finally:
            self._grabber.close()
            with self._changed:
                self._error = None if self._ended else error  # after close() no error is reported
                self._ended = True
                self._changed.notify_all()

    def _keep(self, grabbed: Grabbed) -> None:
        """Replace the waiting frame by the new one."""
        with self._changed:
            if self._ended:
                return
            index = self._captured + grabbed.lost
            self._waiting.append(Frame(grabbed.image, index, grabbed.time_s, grabbed.decode_ms))
            self._captured += 1 + grabbed.lost
            self._seen_s = time.monotonic()
            self._changed.notify_all()

    def _has_news(self) -> bool:
        """Return whether a reader need not wait. A frame from before a stall or loss is dropped, as it is not live."""
        if self.state in ("stalled", "reconnecting"):
            self._waiting.clear()
        return bool(self._waiting) or self._ended

    def _silent_s(self) -> float:
        return time.monotonic() - self._seen_s

    def _silence(self, timeout_s: float | None) -> CameraError:
        return CameraError(
            f"{self.name} must deliver a frame within {timeout_s} s, "
            f"but it is {self.state} and has sent nothing for {self._silent_s():.1f} s. "
            "Do: check its power and cable or network, or wait longer"
        )


def patience(stall_s: float, fps: float | None) -> float:
    """Return after how many seconds without a frame a camera counts as stalled: at least three frame intervals."""
    return max(stall_s, 3 / fps) if fps else stall_s
