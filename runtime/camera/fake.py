"""A public test double: a camera that returns given frames, and stalls, resumes and fails on command."""

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
    """Each `read` returns the next frame at once; `time_s` is `index / fps`. It has no thread and no clock.

    For frames in real time, which are dropped if they are not read, use `realtime(FakeCamera(frames))`.

        camera = FakeCamera(frames)
        camera.stall()       # reads wait and raise CameraError at their timeout
        camera.resume()      # reads continue
        camera.fail("gone")  # every further read raises CameraError

    Args:
        frames: `uint8 [N, H, W, 3]` BGR, or a sequence of `[H, W, 3]`.
        fps: Frames per second.
        loop: Whether to start again at the end.
        live: The value of `FrameSource.live`.
        name: The value of `FrameSource.name`.
        region: The part of each frame to return; None for the whole frame.
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
        """Continue after `stall` with the next frame."""
        self._become("live")

    def fail(self, message: str = "the fake camera failed") -> None:
        """Raise CameraError from every further read, and from one that is waiting."""
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
