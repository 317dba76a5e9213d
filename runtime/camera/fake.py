"""A camera for tests and demonstrations: hands out the frames it was given; stalls, recovers and fails when told to."""

from __future__ import annotations

import threading
from itertools import count
from typing import TYPE_CHECKING

from runtime.camera.base import Frame, FrameSource, Region, State, check_region, crop
from runtime.errors import CameraError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class FakeCamera(FrameSource):
    """Every `read` returns the next of `frames` at once, with no thread and no clock: `time_s` is `index / fps`.

    frames: `uint8 [N, H, W, 3]` BGR or a sequence of `[H, W, 3]`. loop: start again at the end instead of ending.
    live: what the source says of itself. For real pacing and real drops wrap it: `realtime(FakeCamera(frames))`.

        camera = FakeCamera(frames)
        camera.stall()       # reads wait, and raise CameraError at their timeout
        camera.resume()      # and go on
        camera.fail("gone")  # every read from now on raises CameraError
    """

    dropped = 0

    def __init__(
        self,
        frames: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
        fps: float = 30.0,
        *,
        loop: bool = False,
        live: bool = True,
        name: str = "fake camera",
        region: Region | None = None,
    ) -> None:
        self.name = name
        self.live = live
        self.fps = fps
        self._frames = frames
        self._indices = iter(count() if loop and len(frames) else range(len(frames)))
        self._region = check_region(region)
        self._changed = threading.Condition()
        self._state: State = "live"
        self._error: str | None = None

    @property
    def state(self) -> State:
        return self._state

    def read(self, timeout_s: float | None = None) -> Frame | None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._state != "stalled", timeout_s):
                raise CameraError(f"{self.name} must deliver a frame within {timeout_s} s, but it is stalled")
            if self._error is not None:
                raise CameraError(self._error)
            index = next(self._indices, None) if self._state == "live" else None
            if index is None:
                self._state = "ended"
                return None
        return Frame(crop(self._frames[index % len(self._frames)], self._region), index, index / self.fps)

    def stall(self) -> None:
        """Deliver nothing until `resume`."""
        self._become("stalled")

    def resume(self) -> None:
        """Go on after `stall`, with the frame that would have come next."""
        self._become("live")

    def fail(self, message: str = "the fake camera failed") -> None:
        """Raise CameraError from every read, also from one that is waiting."""
        self._error = message
        self._become("ended")

    def close(self) -> None:
        self._error = None
        self._become("ended")

    def _become(self, state: State) -> None:
        with self._changed:
            if self._state != "ended":
                self._state = state
            self._changed.notify_all()
