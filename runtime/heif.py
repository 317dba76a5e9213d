"""Decodes HEIC, which OpenCV does not, with pillow-heif where it is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import FrameError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def decode_heif(data: bytes) -> NDArray[np.uint8]:
    """Decode the main picture of a HEIC to `uint8 [H, W, 3]` or, if it has transparency, `[H, W, 4]` BGR, upright.

    Raises:
        FrameError: pillow-heif is not installed, or the picture is damaged.
    """
    import numpy as np

    try:
        import pillow_heif
    except ImportError as error:
        raise FrameError(
            "a HEIC must be decoded by the library pillow-heif, which is not installed. Do: pip install pillow-heif, "
            "or save the picture as JPEG (on an iPhone: Settings, Camera, Formats, Most Compatible)"
        ) from error
    try:
        return np.asarray(pillow_heif.open_heif(data, convert_hdr_to_8bit=True, bgr_mode=True))
    except (ValueError, RuntimeError, EOFError, OSError, SyntaxError) as error:
        raise FrameError(f"a HEIC must be complete, but pillow-heif says: {error}; save it again") from error
