"""Smooths the answers of a stream: single frames may alternate, but what is shown to people should be stable.

A label appears after `appear` agreeing frames among the last `window`, and disappears after `vanish` frames in a row
without it. This hysteresis keeps a label that is close to its threshold from flickering. The time is an argument, so a
recorded stream always gives the same result.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from runtime.errors import OptionError
from runtime.recognition import Recognition


@dataclass(frozen=True)
class Smoothed:
    """The stable answer of a stream.

    Attributes:
        label: The label to show; None for unknown.
        since_s: Since when it is shown.
        agreeing: How many of the last frames agree with it.
    """

    label: str | None
    since_s: float
    agreeing: int


class Smoother:
    """Smooths the answers of one stream.

    Args:
        appear: How many of the last `window` frames must agree on a label before it is shown.
        window: How many frames are considered.
        vanish: After how many frames in a row without it a label is no longer shown.
        gap_s: After a pause of more than this many seconds, earlier frames do not count.

    Raises:
        OptionError: A value is outside its range.
    """

    def __init__(self, *, appear: int = 3, window: int = 5, vanish: int = 6, gap_s: float = 2.0) -> None:
        if not 1 <= appear <= window or vanish < 1 or not gap_s > 0:
            raise OptionError(
                f"a smoother needs 1 <= appear <= window, vanish >= 1 and gap_s > 0, but got appear={appear}, "
                f"window={window}, vanish={vanish}, gap_s={gap_s}"
            )
        self.appear, self.vanish, self.gap_s = appear, vanish, gap_s
        self._recent: deque[str | None] = deque(maxlen=window)
        self._shown: str | None = None
        self._since_s = self._last_s = float("-inf")
        self._missing = 0  # frames in a row without the shown label

    def update(self, recognition: Recognition, now_s: float) -> Smoothed:
        """Add one answer; return what to show. The time, in seconds, must not decrease."""
        if now_s - self._last_s > self.gap_s:
            self._recent.clear()
            self._show(None, now_s)
        self._last_s = now_s
        label = recognition.label
        self._recent.append(label)
        self._missing = 0 if label == self._shown else self._missing + 1
        agreeing = self._recent.count(label)
        if label is not None and label != self._shown and agreeing >= self.appear:
            self._show(label, now_s)
        elif self._shown is not None and self._missing >= self.vanish:
            self._show(None, now_s)
        return Smoothed(self._shown, self._since_s, self._recent.count(self._shown))

    def _show(self, label: str | None, now_s: float) -> None:
        if label != self._shown or self._since_s == float("-inf"):
            self._since_s = now_s
        self._shown, self._missing = label, 0
