"""Several agreeing frames make an answer: what one frame says may flicker, what is shown to people should not.

A name appears after `appear` agreeing frames among the last few and stays until as many frames in a row as `vanish` say
something else: it is harder to come than to stay (hysteresis), so a name on the edge does not blink. No clock, no
camera: time is handed in, so a recorded stream always gives the same answers.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from runtime.errors import OptionError
from runtime.recognition import Recognition


@dataclass(frozen=True)
class Smoothed:
    """label: the stable name, None for unknown.  since_s: when it became that.  agreeing: of the last frames."""

    label: str | None
    since_s: float
    agreeing: int


class Smoother:
    """One stream's stable answer.

    appear: frames among the last `window` that must agree on a name.  vanish: frames in a row without the shown name
    that take it away.  gap_s: after a silence this long nothing seen before counts.
    Raises OptionError for counts that cannot be met.
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
        self._missing = 0  # frames in a row that did not say what is shown

    def update(self, recognition: Recognition, now_s: float) -> Smoothed:
        """Take in one answer, at a time in seconds that never goes back; returns what to show."""
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
