"""What every source of pictures is: a `FrameSource` that hands out `Frame`s, whether from a file or a live camera.

A file drops nothing and ends. A live camera keeps only its newest frame, counts what nobody asked for, and may stall.
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

Region = tuple[int, int, int, int]  # x, y, width, height in pixels of the whole frame
State = Literal["live", "stalled", "reconnecting", "ended"]


@dataclass(frozen=True, eq=False)  # eq: comparing pictures element by element is never what was meant
class Frame:
    """One picture and where it comes from.

    image: `uint8 [H, W, 3]` BGR, a view of the region if the source has one.
    index: 0-based count of the source's frames; a live source counts what it captured, so a gap is a drop.
    time_s: position in the file, or for a live source `time.monotonic()` at capture, before decoding.
    decode_ms: how long a live source took to decode it; 0 for a file.
    """

    image: NDArray[np.uint8]
    index: int
    time_s: float
    decode_ms: float = 0.0


class FrameSource(Protocol):
    """A Protocol, so that anything with these members will do; ours inherit the iteration and the context manager.

    name: for people and logs, without credentials. live: whether frames are lost when nobody reads them.
    fps: frames a second as announced, or None.
    """

    name: str
    live: bool
    fps: float | None

    @property
    def state(self) -> State:
        """Return "live" while frames come, "stalled", "reconnecting" (network only), or "ended" (also once closed)."""
        ...

    @property
    def dropped(self) -> int:
        """Return how many captured frames were never handed out. Always 0 for a file."""
        ...

    def read(self, timeout_s: float | None = None) -> Frame | None:
        """Return the next frame, or None at the end and after `close`.

        A live source waits for a frame not yet handed out: at most `timeout_s`, or while there is hope if None.
        Raises CameraError on loss and timeout, VideoTruncated, FrameError for a picture or region that does not fit.
        """
        ...

    def close(self) -> None:
        """Release threads, processes and handles. May be called twice, and while another thread waits in `read`."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self.read()) is not None:
            yield frame

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def check_region(region: Region | None) -> Region | None:
    """Return the region as it is. Raises FrameError unless it is None or x, y >= 0 and width, height >= 1, all int."""
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
            f"reaches to ({x + width}, {y + height}). Do: choose a smaller one, or ask the camera for larger frames"
        )
    return image[y : y + height, x : x + width]


def plausible_fps(fps: float) -> float | None:
    """Return the announced rate, or None for what containers and cameras say when they do not know (0, nan, 90000)."""
    return fps if 0.05 <= fps <= 1000 else None


def redact(source: str) -> str:
    """Return a URL or pipeline fit for logs: user, password, and any query are replaced by `***`.

    A password may itself hold `/`, `@` or `?`; so everything up to the last `@` of the word goes.
    """
    source = re.sub(r"://[^\s\"']*@", "://***@", source)
    source = re.sub(r"(://[^\s\"'?]*)\?[^\s\"']*", r"\1?***", source)
    return re.sub(r"((?:user|pass|pw|token|key|secret)[\w-]*\s*=\s*)(\"[^\"]*\"|[^\s!]+)", r"\1***", source, flags=re.I)
