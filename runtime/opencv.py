"""Loads OpenCV when it is first needed, and decodes and encodes pictures of limited size."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import CameraMissing, FrameError, OpenCVMissing
from runtime.picture_header import MAX_PIXELS, read_header

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_JPEG_SIDE = 65_500


@cache
def load_cv2() -> Any:
    """Return the cv2 module. Raises OpenCVMissing with the install lines."""
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS["JPEG"]))  # read once, when cv2 is imported
    os.environ.setdefault(
        "OPENCV_LOG_LEVEL", "ERROR"
    )  # FFmpeg's own messages are not printed; our errors say what happened
    try:
        import cv2
    except ImportError as error:
        raise OpenCVMissing(
            f"OpenCV is needed to read and resize pictures, but `import cv2` failed ({error}). "
            "Do: pip install 'edgefs[pc]' (a PC or server; opencv-python-headless needs no libGL). "
            "On a Jetson use JetPack's own cv2: create the environment with --system-site-packages."
        ) from error
    return cv2


def decode_image(data: bytes, name: str = "picture") -> NDArray[np.uint8]:
    """Decode a picture to `uint8 [H, W, 3]` BGR, EXIF rotation applied.

    A JPEG of more than 16 million pixels, or 12 if it is progressive, is decoded at half of its sides.

    Args:
        data: A JPEG, PNG, WebP, BMP, TIFF or AVIF.
        name: Name of the picture for messages.

    Raises:
        FrameError: It is none of these, is damaged, or has too many pixels.
    """
    import numpy as np

    cv2 = load_cv2()
    try:
        header = read_header(data)
        flag = cv2.IMREAD_REDUCED_COLOR_2 if header.reduced else cv2.IMREAD_COLOR
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except FrameError as error:
        raise FrameError(f"{name} cannot be used: {error}") from error
    except cv2.error as error:
        raise FrameError(f"{name} must be a picture that OpenCV can decode, but OpenCV says: {error}") from error
    if image is None:
        raise FrameError(
            f"{name} must be a complete {header.format}, but its {len(data):,} bytes are damaged; save it again"
        )
    return image  # type: ignore[no-any-return]


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Read one picture file to `uint8 [H, W, 3]` BGR. Raises CameraMissing or FrameError."""
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: the path contains NUL
        why = getattr(error, "strerror", None) or error
        raise CameraMissing(f"{path} must be a readable picture, but: {why}; check the path") from error
    return decode_image(data, str(path))


def encode_jpeg(image: NDArray[np.uint8], quality: int = 90) -> bytes:
    """Encode `uint8 [H, W, 3]` BGR or `[H, W]` grey as JPEG bytes. Raises FrameError over 65,500 pixels a side."""
    cv2 = load_cv2()
    if max(image.shape[:2]) > MAX_JPEG_SIDE:
        raise FrameError(
            f"a JPEG must have at most {MAX_JPEG_SIDE:,} pixels a side, but got {image.shape}; crop the frame"
        )
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()  # type: ignore[no-any-return]
