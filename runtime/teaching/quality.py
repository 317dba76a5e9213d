"""Which frames are worth enrolling: not too dark, not too bright, not blurred, not the same view again.

The limits refuse only what carries no information. A dark object on a black turntable and an empty grey belt are fine;
a covered lens and a smeared frame are not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.opencv import load_cv2

TOO_DARK = 40  # grey level 0..255 that even the brightest hundredth of the picture stays below
TOO_BRIGHT = 235  # grey level that even the darkest hundredth stays above
MIN_RELATIVE_SHARPNESS = 0.25  # of the sharpest quarter of the same burst: blur is only known by comparison
SAME_VIEW = 0.01  # squared distance over squared norm; for unit vectors a cosine of 0.995
THUMBNAIL = 160  # pixels: sharpness is measured at one scale, whatever the camera's


@dataclass(frozen=True)
class FrameQuality:
    """low, high: 1st and 99th percentile grey level, 0..255.  sharpness: std of the Laplacian over the picture's."""

    low: float
    high: float
    sharpness: float

    def exposure_fault(self) -> str | None:
        """ "too dark", "too bright" or None."""
        if self.high < TOO_DARK:
            return "too dark"
        return "too bright" if self.low > TOO_BRIGHT else None


def measure(frame: NDArray[np.uint8]) -> FrameQuality:
    """Measure a frame `uint8 [H, W, 3]` BGR or grey."""
    cv2 = load_cv2()
    scale = THUMBNAIL / max(frame.shape[:2])
    size = tuple(max(1, round(side * scale)) for side in frame.shape[1::-1])
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY) if small.ndim == 3 else small
    low, high = np.percentile(grey, (1, 99))
    sharpness = float(cv2.Laplacian(grey, cv2.CV_32F).std()) / (float(grey.std()) + 4)  # 4 grey levels: sensor noise
    return FrameQuality(float(low), float(high), sharpness)


def blurred(sharpness: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which frames of one burst, `float [N]`, are blurred in comparison with its sharper ones: `bool [N]`."""
    if len(sharpness) < 4:  # too few to compare
        return np.zeros(len(sharpness), bool)
    return np.asarray(sharpness < MIN_RELATIVE_SHARPNESS * np.quantile(sharpness, 0.75))


def same_view(embedding: NDArray[np.float32], taken: NDArray[np.float32]) -> bool:
    """Whether an embedding `float32 [D]` adds nothing to those taken, `float32 [n, D]`."""
    if not len(taken):
        return False
    nearest = float(((taken - embedding) ** 2).sum(axis=1).min())
    return nearest <= SAME_VIEW * float(embedding @ embedding)
