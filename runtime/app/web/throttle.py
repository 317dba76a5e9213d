"""Limits how often one client may offer a wrong access token."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

FAILURES = 5  # that a client may make
PERIOD_S = 60.0  # until a failure no longer counts
CLIENTS = 1000  # that are remembered


class Throttle:
    """Counts the failed logins of each client by the monotonic clock. Several threads may use it."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def wait_s(self, client: str) -> float:
        """Return how many seconds a client must wait until it may try again; 0 if it need not."""
        with self._lock:
            recent = self._recent(client)
            return 0.0 if len(recent) < FAILURES else recent[-FAILURES] + PERIOD_S - self._now()

    def failed(self, client: str) -> None:
        """Count a failure. The client that failed least recently is dropped when there are too many."""
        with self._lock:
            recent = [*self._recent(client), self._now()][-FAILURES:]
            self._failures.pop(client, None)
            self._failures[client] = recent
            while len(self._failures) > CLIENTS:
                del self._failures[next(iter(self._failures))]

    def _recent(self, client: str) -> list[float]:
        now = self._now()
        return [at_s for at_s in self._failures.get(client, []) if now - at_s < PERIOD_S]
