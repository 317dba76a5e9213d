"""Messages to systemd."""

from __future__ import annotations

import os
import socket
import time

import pytest

from runtime.app.systemd import Systemd


def test_the_watchdog_is_fed_while_healthy_every_third_of_its_interval(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(1)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "300000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        systemd = Systemd()
        systemd.notify("READY=1")
        systemd.feed_watchdog(healthy=False)
        systemd.feed_watchdog(healthy=True)
        systemd.feed_watchdog(healthy=True)  # too early
        time.sleep(0.11)
        systemd.feed_watchdog(healthy=True)
        assert [manager.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            manager.recv(100)


def test_without_systemd_nothing_is_sent(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Systemd().notify("READY=1")
