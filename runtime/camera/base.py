"""The contract of every source of pictures: a `FrameSource` returns `Frame`s, from a file or from a live camera.

A file has an end and drops no frame. A live camera keeps only its newest frame, counts the frames that were not read,
and may stall.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from runtime.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

Region = tuple[int, int, int, int]  # x, y, width, height in pixels of the camera's frame
State = Literal["live", "stalled", "reconnecting", "ended"]


@dataclass(frozen=True, eq=False)  # eq=False, because comparing pictures element by element is not intended
class Frame:
    """One picture and where it comes from.

    Attributes:
        image: `uint8 [H, W, 3]` BGR; only the region, if the source has one.
        index: Number of the frame, from 0. A live source counts captured frames, so a gap means dropped frames.
        time_s: Position in the file; for a live source `time.monotonic()` at capture, before decoding.
        decode_ms: How long a live source took to decode it; 0 for a file.
        name: The name of the picture file it was read from; "" for a frame of a video or a camera.
    """

    image: NDArray[np.uint8]
    index: int
    time_s: float
    decode_ms: float = 0.0
    name: str = ""


class FrameSource(Protocol):
    """Anything with these members is a source; a class that inherits gets iteration and the context manager.

    Attributes:
        name: Name for people and logs, without credentials.
        live: Whether frames are dropped if they are not read in time.
        fps: Announced frames per second; None if unknown.
    """

    name: str
    live: bool
    fps: float | None

    @property
    def state(self) -> State:
        """State: "live", "stalled", "reconnecting" (network cameras only) or "ended" (also after `close`)."""
        ...

    @property
    def dropped(self) -> int:
        """Number of captured frames that were never returned; always 0 for a file."""
        ...

    def read(self, timeout_s: float | None = None) -> Frame | None:
        """Return the next frame, or None at the end and after `close`.

        Args:
            timeout_s: How long a live source waits for a new frame, in seconds; None waits until the source ends.

        Raises:
            CameraError: The camera was lost, or no frame came in time.
            VideoTruncated: The file ends before the length it announces.
            FrameError: The picture cannot be decoded, or the region does not lie inside it.
        """
        ...

    def close(self) -> None:
        """Release threads, processes and handles. It may be called twice, and while another thread waits in `read`."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self.read()) is not None:
            yield frame

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def check_region(region: Region | None) -> Region | None:
    """Return the region. Raises FrameError unless it is None, or x, y >= 0 and width, height >= 1, all int."""
    if region is None:
        return None
    whole = len(region) == 4 and all(isinstance(n, int) for n in region)
    if not whole or min(region[:2]) < 0 or min(region[2:]) < 1:
        raise FrameError(
            f"region must be four whole numbers of pixels (x, y, width, height) with x, y >= 0 and width, height >= 1, "
            f"but got {region!r}"
        )
    return region


def crop(image: NDArray[np.uint8], region: Region | None) -> NDArray[np.uint8]:
    """Return the region of `uint8 [H, W, 3]` as a view. Raises FrameError if it does not lie inside the frame."""
    if region is None:
        return image
    x, y, width, height = region
    frame_height, frame_width = image.shape[:2]
    if x + width > frame_width or y + height > frame_height:
        raise FrameError(
            f"region must lie inside the {frame_width} x {frame_height} frame, but (x, y, width, height) = {region} "
            f"extends to ({x + width}, {y + height}). Do: choose a smaller one, or larger frames of the camera"
        )
    return image[y : y + height, x : x + width]


def plausible_fps(fps: float) -> float | None:
    """Return the announced rate, or None for the values that stand for an unknown rate (0, nan, 90000)."""
    return fps if 0.05 <= fps <= 1000 else None


def redact(source: str) -> str:
    """Return a URL or pipeline for logs: user, password and query are replaced by `***`.

    A password may contain `/`, `@` or `?`, so everything up to the last `@` before white space is replaced.
    """
    source = re.sub(r"://[^\s\"']*@", "://***@", source)
    source = re.sub(r"(://[^\s\"'?]*)\?[^\s\"']*", r"\1?***", source)
    return re.sub(r"((?:user|pass|pw|token|key|secret)[\w-]*\s*=\s*)(\"[^\"]*\"|[^\s!]+)", r"\1***", source, flags=re.I)
