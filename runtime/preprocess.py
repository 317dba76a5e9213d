"""Turns frames into engine inputs. Evaluation, calibration and the device all use this implementation.

Only cropping, resizing and conversion to grey happen here. Colour order, scaling, mean/std and layout are part of the
exported graph, so that device code cannot get them wrong. The contract names the resampler, because another resampler
can change an embedding more than int8 quantisation does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import BundleCorrupt, FrameError, OptionError
from runtime.opencv import load_cv2

RESAMPLERS = ("linear", "area", "half-area-linear")
CROPS = ("square", "stretch", "pad")
PAD_GREY = 128  # of the borders beside a padded frame
Frames = NDArray[np.uint8] | Iterable[NDArray[np.uint8]]


@dataclass(frozen=True)
class Preprocess:
    """The preprocessing contract of a bundle.

    Attributes:
        size: (height, width) of the engine's input, in pixels.
        channels: 3 (BGR) or 1 (grey).
        crop: "square" uses the largest centred square of the frame, "stretch" the whole frame, squeezed to the size,
            and "pad" the whole frame with its proportions, in the middle of a grey picture.
        resampler: "linear" (cv2, four source pixels for each target pixel: the fastest), "area" (cv2, all source
            pixels: the slowest), or "half-area-linear" (area by 1/2 while the frame is more than twice too large, then
            linear).

    Raises:
        OptionError: A value is outside its range.
    """

    size: tuple[int, int]
    channels: int = 3
    crop: str = "square"
    resampler: str = "linear"

    def __post_init__(self) -> None:
        sound = (
            len(self.size) == 2
            and all(type(number) is int for number in (*self.size, self.channels))  # neither True nor 3.0
            and all(1 <= side <= 4096 for side in self.size)
            and self.channels in (1, 3)
            and self.crop in CROPS
            and self.resampler in RESAMPLERS
        )
        if not sound:
            raise OptionError(
                f"preprocess must have a size of two sides in 1..4096, 1 or 3 channels, a crop of {CROPS} and a "
                f"resampler of {RESAMPLERS}, but is {asdict(self)}"
            )

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Preprocess:
        """Read what `to_json` wrote. Raises BundleCorrupt for unknown, missing or invalid values."""
        try:
            return cls(**{**values, "size": tuple(values["size"])})
        except (TypeError, KeyError, OptionError) as error:
            raise BundleCorrupt(
                f"preprocess must be a valid table of size, channels, crop, resampler, but: {error}; pack it again"
            ) from error

    def to_json(self) -> dict[str, Any]:
        """Return the table that the manifest holds."""
        return {**asdict(self), "size": list(self.size)}

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of one engine input."""
        return (*self.size, self.channels)

    def __call__(self, frame: NDArray[np.uint8], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Turn one camera frame into one engine input.

        Args:
            frame: `uint8 [H, W, 3]` BGR, or grey `[H, W]` or `[H, W, 1]`; any size from 1 x 1.
            out: Array `uint8 [h, w, C]` to write into, so that a live loop allocates no memory; None makes a new one.

        Returns:
            `uint8 [h, w, C]`.

        Raises:
            FrameError: `frame` or `out` is something else.
        """
        check_frame(frame)
        if self.crop == "square":
            frame = centre_square(frame)
        if out is None:
            out = np.empty(self.shape, np.uint8)
        elif out.shape != self.shape or out.dtype != np.uint8 or not out.flags.writeable:
            raise FrameError(f"out must be a writable uint8 array {self.shape}, but got {out.dtype} {out.shape}")
        if self.crop == "pad":
            return self._padded(frame, out)
        channels = frame.shape[2] if frame.ndim == 3 else 1
        if channels == self.channels and out.flags.c_contiguous:
            self._resize(frame, out.reshape(-1).reshape(out.shape))  # reshaping gives plain strides even if a side is 1
        elif channels > self.channels:
            cv2 = load_cv2()
            out[..., 0] = cv2.cvtColor(self._resize(frame), cv2.COLOR_BGR2GRAY)
        else:
            out[:] = self._resize(frame).reshape(*self.size, channels)
        return out

    def _padded(self, frame: NDArray[np.uint8], out: NDArray[np.uint8]) -> NDArray[np.uint8]:
        scale = min(side / length for side, length in zip(self.size, frame.shape, strict=False))
        height, width = (max(1, round(length * scale)) for length in frame.shape[:2])
        y, x = (self.size[0] - height) // 2, (self.size[1] - width) // 2
        out[:] = PAD_GREY
        out[y : y + height, x : x + width] = replace(self, size=(height, width), crop="stretch")(frame)
        return out

    def _resize(self, frame: NDArray[np.uint8], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        cv2 = load_cv2()
        if self.resampler == "half-area-linear":
            while frame.shape[0] >= 2 * self.size[0] and frame.shape[1] >= 2 * self.size[1]:
                frame = cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        shrinks = frame.shape[0] > self.size[0] or frame.shape[1] > self.size[1]
        how = cv2.INTER_AREA if self.resampler == "area" and shrinks else cv2.INTER_LINEAR
        return cv2.resize(frame, self.size[::-1], dst=out, interpolation=how)  # type: ignore[no-any-return]

    def batch(self, frames: Frames) -> NDArray[np.uint8]:
        """Turn frames into one batch of engine inputs.

        Args:
            frames: One frame, a `uint8 [N, H, W, C]` array, or any iterable of frames, whose sizes may differ.

        Returns:
            `uint8 [N, h, w, C]`.
        """
        many = list(as_frames(frames))
        out = np.empty((len(many), *self.shape), np.uint8)
        for frame, row in zip(many, out, strict=True):
            self(frame, row)
        return out


def as_frames(frames: Frames) -> Iterator[NDArray[np.uint8]]:
    """Iterate over the frames of one frame, a 4-d array or any iterable. Raises FrameError for anything else."""
    if isinstance(frames, np.ndarray):
        return iter(frames if frames.ndim == 4 else [frames])
    if isinstance(frames, (str, bytes)) or not isinstance(frames, Iterable):
        raise FrameError(
            f"frames must be uint8 arrays, but got {type(frames).__name__}; read files with edgefs.read_image"
        )
    return iter(frames)


def chunks(frames: Frames, size: int) -> Iterator[list[NDArray[np.uint8]]]:
    """Yield lists of at most `size` frames, so that a long video need not fit into memory."""
    each = as_frames(frames)
    while some := list(islice(each, size)):
        yield some


def check_frame(frame: NDArray[np.uint8]) -> None:
    """Raise FrameError unless frame is `uint8 [H, W, 3]`, `[H, W]` or `[H, W, 1]` with at least one pixel."""
    if not isinstance(frame, np.ndarray):
        raise FrameError(f"a frame must be a uint8 numpy array [H, W, 3] BGR, but got {type(frame).__name__}")
    shape = frame.shape
    if frame.dtype != np.uint8:
        raise FrameError(f"a frame must be uint8 with values 0..255, but got {frame.dtype}; convert it first")
    if 0 in shape:
        raise FrameError(
            f"a frame must have at least one pixel, but has shape {shape}; check that the camera delivers a picture"
        )
    if not (frame.ndim == 2 or (frame.ndim == 3 and shape[2] in (1, 3))):
        hint = "drop the alpha channel: frame[:, :, :3]" if frame.ndim == 3 and shape[2] == 4 else "give one frame"
        raise FrameError(f"a frame must have shape [H, W, 3] (BGR), [H, W] or [H, W, 1], but got {shape}; {hint}")


def centre_square(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the largest centred square of a frame, as a view."""
    height, width = frame.shape[:2]
    side = min(height, width)
    y, x = (height - side) // 2, (width - side) // 2
    return frame[y : y + side, x : x + side]
