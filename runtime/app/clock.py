"""The time of day that nobody sets while the program runs.

What is deleted after some days, and when a visit ends, must not depend on somebody who sets the clock. So the wall
clock is asked once, and the monotonic clock from then on. A device without a battery for its clock starts in 1970:
until the wall clock is set for the first time, it is asked again.
"""

from __future__ import annotations

import threading
import time

SET_S = 1.7e9  # November 2023; an earlier clock was never set


class SteadyClock:
    """Gives Unix seconds. Several threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._start_s = -float("inf")  # Unix seconds at zero of the monotonic clock

    def now_s(self) -> float:
        """Return the time."""
        with self._lock:
            elapsed_s = time.monotonic()
            if self._start_s + elapsed_s < SET_S:
                self._start_s = time.time() - elapsed_s
            return self._start_s + elapsed_s


now_s = SteadyClock().now_s  # one clock for the whole program
