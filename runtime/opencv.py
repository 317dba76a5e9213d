"""Loads OpenCV when it is first needed, and decodes and encodes pictures of limited size."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import CameraMissing, FrameError, OpenCVMissing
from runtime.heif import decode_heif
from runtime.picture_header import MAX_PIXELS, PictureHeader, is_cut, is_motion_jpeg, orientation_of, read_header

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_JPEG_SIDE = 65_500
GREY = 128  # what is behind transparent pixels


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


def decode_image(data: bytes, name: str = "picture", *, grey_stays: bool = False) -> NDArray[np.uint8]:
    """Decode a picture to `uint8 [H, W, 3]` BGR, EXIF rotation applied, transparent pixels on grey.

    A JPEG of more than 16 million pixels, or 12 if it is progressive, is decoded at half of its sides.

    Args:
        data: A JPEG, PNG, WebP, BMP, TIFF, AVIF or HEIC.
        name: Name of the picture for messages.
        grey_stays: Whether a picture without colour is `[H, W]`, to tell it from one with colour.

    Raises:
        FrameError: It is none of these, is damaged, or has too many pixels.
    """
    cv2 = load_cv2()
    try:
        header = read_header(data)
        if is_cut(data):
            raise FrameError("a JPEG must have its end, but this one is cut; copy or save it again")
        if header.format == "JPEG" and is_motion_jpeg(data):
            raise FrameError(
                "a JPEG must be one picture, but this one is a video (MJPEG); name it as a source of its own"
            )
        image = _decode(data, header, cv2.IMREAD_ANYCOLOR if grey_stays else cv2.IMREAD_COLOR)
    except FrameError as error:
        raise FrameError(f"{name} cannot be used: {error}") from error
    except cv2.error as error:
        raise FrameError(f"{name} must be a picture that OpenCV can decode, but OpenCV says: {error}") from error
    if image is None:
        unable = header.format == "AVIF" and not cv2.haveImageWriter(".avif")
        why = (
            "this OpenCV cannot decode it; install a newer one, or save it as PNG"
            if unable
            else "damaged; save it again"
        )
        raise FrameError(f"{name} must be a complete {header.format}, but its {len(data):,} bytes are {why}")
    return image


def _decode(data: bytes, header: PictureHeader, flag: int) -> NDArray[np.uint8] | None:
    import numpy as np

    cv2, raw = load_cv2(), np.frombuffer(data, np.uint8)
    if header.format == "HEIC":
        image = decode_heif(data)
        return _on_grey(image[:, :, :3].copy(), image[:, :, 3]) if image.shape[2] == 4 else image
    if header.reduced:
        return cv2.imdecode(raw, flag | cv2.IMREAD_REDUCED_GRAYSCALE_2)  # type: ignore[no-any-return]
    alpha = _alpha(raw) if header.alpha else None
    if alpha is None:
        return cv2.imdecode(raw, flag)  # type: ignore[no-any-return]
    image = _on_grey(cv2.imdecode(raw, flag | cv2.IMREAD_IGNORE_ORIENTATION), alpha)
    return np.ascontiguousarray(_upright(image, orientation_of(data, header)))


def _alpha(raw: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Return how opaque each pixel is, `uint8 [H, W]`, not turned by EXIF; None if it has no such plane."""
    whole = load_cv2().imdecode(raw, load_cv2().IMREAD_UNCHANGED)  # 16 bits stay 16 bits
    if whole is None or whole.ndim != 3 or whole.shape[2] != 4:
        return None
    return whole.view("uint8")[:, :, whole.itemsize * 4 - 1].copy()  # type: ignore[no-any-return] # the high byte


def _on_grey(image: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay a picture over grey, in place: the colours that are stored for transparent pixels are arbitrary."""
    import numpy as np

    for rows in (slice(start, start + 64) for start in range(0, len(image), 64)):  # as floats it takes 4 times as much
        share = alpha[rows].reshape(*alpha[rows].shape, *(1,) * (image.ndim - 2)) / np.float32(255)
        image[rows] = np.rint(GREY + (image[rows] - np.float32(GREY)) * share)
    return image


def _upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn a picture as EXIF says, with a number 1..8 of the TIFF standard."""
    image = image.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else image
    image = image[::-1] if orientation in (3, 4, 7, 8) else image
    return image[:, ::-1] if orientation in (2, 3, 6, 7) else image


def read_image(path: str | Path, *, grey_stays: bool = False) -> NDArray[np.uint8]:
    """Read one picture file to `uint8 [H, W, 3]` BGR, see `decode_image`. Raises CameraMissing or FrameError."""
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: the path contains NUL
        why = getattr(error, "strerror", None) or error
        raise CameraMissing(f"{path} must be a readable picture, but: {why}; check the path") from error
    return decode_image(data, str(path), grey_stays=grey_stays)


def encode_jpeg(image: NDArray[np.uint8], quality: int = 90) -> bytes:
    """Encode `uint8 [H, W, 3]` BGR or `[H, W]` grey as JPEG bytes. Raises FrameError over 65,500 pixels a side."""
    cv2 = load_cv2()
    if max(image.shape[:2]) > MAX_JPEG_SIDE:
        raise FrameError(
            f"a JPEG must have at most {MAX_JPEG_SIDE:,} pixels a side, but got {image.shape}; crop the frame"
        )
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()  # type: ignore[no-any-return]
