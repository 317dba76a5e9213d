"""Where something moves before a camera that stands still: the part of the frame that is worth learning.

A class is usually first taught with a thing in the hand, and the background stays where it is. What changes from
frame to frame is the thing; a class that is learned from this part alone does not learn the background.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.opencv import load_cv2

SMALL = (64, 36)  # pixels, width and height in which motion is measured
NOISE = 10  # grey levels: smaller differences come from the sensor
LEAST_FRAMES = 8
TAIL = 0.06  # share of the motion that is left out at each side: a shadow, a reflection
MARGIN = 0.06  # of the frame, added at each side: what holds still for a moment belongs to the thing
LEAST, MOST = 0.02, 0.45  # share of the frame: less is noise, more is a camera that moves

Box = tuple[float, float, float, float]


class MotionBox:
    """Adds up what changes between frames."""

    def __init__(self) -> None:
        self._energy = np.zeros(SMALL[::-1], np.float64)
        self._before: NDArray[np.uint8] | None = None
        self._frames = 0

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Add the next frame, `uint8 [H, W, 3]`."""
        cv2 = load_cv2()
        small = cv2.cvtColor(cv2.resize(frame, SMALL, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
        if self._before is not None:
            change = cv2.absdiff(small, self._before).astype(np.float64)
            self._energy += np.where(change > NOISE, change, 0)
            self._frames += 1
        self._before = small

    def box(self) -> Box | None:
        """Return x, y, width and height in fractions of the frame; None while nothing, or everything, moves."""
        total = float(self._energy.sum())
        if self._frames < LEAST_FRAMES or total == 0:
            return None
        left, right = _bulk(self._energy.sum(axis=0) / total)
        top, bottom = _bulk(self._energy.sum(axis=1) / total)
        inner = (right - left) * (bottom - top)
        left, top = max(0.0, left - MARGIN), max(0.0, top - MARGIN)
        right, bottom = min(1.0, right + MARGIN), min(1.0, bottom + MARGIN)
        width, height = right - left, bottom - top
        return (left, top, width, height) if inner >= LEAST and width * height <= MOST else None


def _bulk(shares: NDArray[np.float64]) -> tuple[float, float]:
    """Return the fractions of an axis between which all motion but its tails lies."""
    added = np.cumsum(shares)
    first, last = np.searchsorted(added, (TAIL, 1 - TAIL))
    return float(first) / len(shares), float(min(last + 1, len(shares))) / len(shares)
