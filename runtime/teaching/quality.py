"""The quality of a frame: too dark, too bright, blurred, or the same view as another.

The limits refuse only frames without information, such as those of a covered lens or with motion blur. A dark object on
a black turntable and an empty grey belt are accepted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.opencv import load_cv2

TOO_DARK = 40  # grey level 0..255; a frame is too dark if its 99th percentile is lower
TOO_BRIGHT = 235  # grey level; a frame is too bright if its 1st percentile is higher
MIN_RELATIVE_SHARPNESS = (
    0.25  # relative to the 75th percentile of the burst, because blur can only be seen by comparison
)
SAME_VIEW = 0.01  # squared distance / squared norm; for unit vectors it means a cosine of 0.995
THUMBNAIL = 160  # pixels of the longer side; sharpness is measured at this size for every camera


@dataclass(frozen=True)
class FrameQuality:
    """Exposure and sharpness of a frame.

    Attributes:
        low: 1st percentile of the grey levels, 0..255.
        high: 99th percentile of the grey levels, 0..255.
        sharpness: Standard deviation of the Laplacian, relative to that of the picture.
    """

    low: float
    high: float
    sharpness: float

    def exposure_fault(self) -> str | None:
        """Return "too dark", "too bright" or None."""
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
    sharpness = float(cv2.Laplacian(grey, cv2.CV_32F).std()) / (
        float(grey.std()) + 4
    )  # + 4 grey levels of sensor noise
    return FrameQuality(float(low), float(high), sharpness)


def blurred(sharpness: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which frames of a burst are blurred compared with its sharper ones, `bool [N]`, from `float [N]`."""
    if len(sharpness) < 4:  # too few to compare
        return np.zeros(len(sharpness), bool)
    return np.asarray(sharpness < MIN_RELATIVE_SHARPNESS * np.quantile(sharpness, 0.75))


def same_view(embedding: NDArray[np.float32], taken: NDArray[np.float32]) -> bool:
    """Return whether an embedding `float32 [D]` shows the same view as one of those taken, `float32 [n, D]`."""
    if not len(taken):
        return False
    nearest = float(((taken - embedding) ** 2).sum(axis=1).min())
    return nearest <= SAME_VIEW * float(embedding @ embedding)
