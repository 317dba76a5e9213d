"""Loads OpenCV when it is first needed, and decodes and encodes pictures of limited size."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import CameraMissing, FrameError, OpenCVMissing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_PIXELS = (
    64_000_000  # a 420 kB PNG of 12000 x 12000 would need 825 MB; the largest phone photographs have 50 M pixels
)
MAX_JPEG_SIDE = 65_500


@cache
def load_cv2() -> Any:
    """Return the cv2 module. Raises OpenCVMissing with the install lines."""
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))  # read once, when cv2 is imported
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
    """Decode a JPEG, PNG, … to `uint8 [H, W, 3]` BGR, EXIF rotation applied. Raises FrameError if it cannot be read."""
    import numpy as np

    cv2 = load_cv2()
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except cv2.error as error:  # raised for a picture over the pixel limit
        raise FrameError(
            f"{name} must be a picture of at most {MAX_PIXELS:,} pixels, but OpenCV says: {error}"
        ) from error
    if image is None:
        raise FrameError(
            f"{name} must be a JPEG, PNG or other picture OpenCV can read, but its {len(data):,} bytes are not"
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
