"""sd_notify(3): tells systemd that the app is ready, healthy or stopping. Without systemd it does nothing."""

from __future__ import annotations

import contextlib
import os
import socket
import time


class Systemd:
    """The service manager that started this process, if one did."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "").replace("@", "\0", 1)
        for_this_process = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._watchdog_s = int(os.environ.get("WATCHDOG_USEC", 0)) / 1e6 if for_this_process else 0.0
        self._fed_s = 0.0

    def notify(self, message: str) -> None:
        """Send a message such as "READY=1", "STOPPING=1" or "STATUS=…"."""
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(message.encode(), self._address)

    def feed_watchdog(self, *, healthy: bool) -> None:
        """Send WATCHDOG=1 while healthy, every third of the interval."""
        if self._watchdog_s and healthy and time.monotonic() - self._fed_s >= self._watchdog_s / 3:
            self._fed_s = time.monotonic()
            self.notify("WATCHDOG=1")
