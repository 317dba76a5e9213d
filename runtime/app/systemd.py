"""sd_notify(3), the whole of it that we need: ready, alive, stopping. Without systemd it does nothing."""

from __future__ import annotations

import contextlib
import os
import socket
import time


class Systemd:
    """The manager that started us, if one did."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "").replace("@", "\0", 1)
        mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._watchdog_s = int(os.environ.get("WATCHDOG_USEC", 0)) / 1e6 if mine else 0.0
        self._fed_s = 0.0

    def say(self, message: str) -> None:
        """Send "READY=1", "STOPPING=1", "STATUS=…"."""
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(message.encode(), self._address)

    def feed_watchdog(self, *, healthy: bool) -> None:
        """Keep the watchdog quiet, thrice as often as it asks, but only while we are well."""
        if self._watchdog_s and healthy and time.monotonic() - self._fed_s >= self._watchdog_s / 3:
            self._fed_s = time.monotonic()
            self.say("WATCHDOG=1")
