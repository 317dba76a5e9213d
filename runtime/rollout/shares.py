"""The share of answers that are "unknown", of the last hour: it rises when a new model does harm."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

WINDOW_S = 3600.0
STEP_S = 60.0  # answers are counted by the minute
MIN_ANSWERS = 200  # fewer answers than this have no share
MIN_SHARE = 0.05  # a share is doubled only above twice this one: 1 % of unknown is often none, or 2 %, by chance


class UnknownShare:
    """Counts answers; it can be used from several threads.

    Args:
        clock: Returns seconds that never decrease.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._minutes: deque[list[float]] = deque()  # [when it began, unknown answers, all answers]

    def count(self, *, unknown: bool) -> None:
        """Count an answer."""
        with self._lock:
            now_s = self._clock()
            if not self._minutes or now_s - self._minutes[-1][0] >= STEP_S:
                self._minutes.append([now_s, 0, 0])
                self._drop(now_s)
            self._minutes[-1][1] += unknown
            self._minutes[-1][2] += 1

    def share(self) -> float | None:
        """Return the share of the window, 0..1; None of fewer than MIN_ANSWERS answers."""
        with self._lock:
            self._drop(self._clock())
            unknown, answers = (sum(minute[i] for minute in self._minutes) for i in (1, 2))
        return unknown / answers if answers >= MIN_ANSWERS else None

    def _drop(self, now_s: float) -> None:
        while self._minutes and now_s - self._minutes[0][0] > WINDOW_S:
            self._minutes.popleft()


def doubled(before: float | None, now: float | None) -> bool:
    """Whether the share of unknown is at least twice as high as before; not if either share is not known."""
    return before is not None and now is not None and now >= 2 * max(before, MIN_SHARE)
