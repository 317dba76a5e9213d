"""Under attack: what a good client notices of sockets that never come to the point."""

from __future__ import annotations

import argparse
import socket
import threading
import time
import urllib.request
from typing import Any

from benchmarks.live.process import app
from benchmarks.live.serving import every

ATTACKERS = 200
HALVES = (
    b"",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    b"POST /api/v1/recognize HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 99999\r\n\r\n",
    b"GET ",
)


def sockets(args: argparse.Namespace) -> dict[str, Any]:
    """A good client beside ATTACKERS sockets that send nothing, or a byte now and then, and come again when cut off."""
    with app() as (process, url):
        paths = [f"{url}/healthz", f"{url}/api/v1/state", f"{url}/api/v1/cameras/0/snapshot"]
        time.sleep(3)
        calm = [get(path) * 1e3 for _ in range(60) for path in paths]
        before = process.memory_info().rss
        stop, cut = threading.Event(), [0]
        attacker = threading.Thread(target=attack, args=(int(url.rpartition(":")[2]), stop, cut))
        attacker.start()
        until_s = time.monotonic() + args.seconds
        waits = []
        while time.monotonic() < until_s:
            waits += [get(path) * 1e3 for path in paths]
        grown = process.memory_info().rss - before
        stop.set()
        attacker.join()
    return {
        "attackers": ATTACKERS,
        "seconds": args.seconds,
        "cut_off": cut[0],
        "good_client_before": every(calm),
        "good_client": every(waits) | {"worst_ms": round(max(waits), 1)},
        "rss_growth_mb": round(grown / 1e6, 1),
    }


def get(url: str) -> float:
    """Seconds until the whole answer was there."""
    began_s = time.monotonic()
    with urllib.request.urlopen(url, timeout=30) as answer:
        answer.read()
    return time.monotonic() - began_s


def attack(port: int, stop: threading.Event, cut: list[int]) -> None:
    def come(i: int) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", port))
        sock.send(HALVES[i % len(HALVES)])
        return sock

    held = [come(i) for i in range(ATTACKERS)]
    while not stop.wait(0.5):
        for i, sock in enumerate(held):
            try:
                sock.setblocking(False)
                silent = i % len(HALVES) == 0
                gone = not (sock.recv(1, socket.MSG_PEEK) if silent else sock.send(b"x"))
            except BlockingIOError:
                gone = False
            except OSError:
                gone = True
            if gone:
                cut[0] += 1
                sock.close()
                held[i] = come(i)
    for sock in held:
        sock.close()
