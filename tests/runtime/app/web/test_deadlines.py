"""Clients that send half a request or read nothing are disconnected, and no other client is delayed."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack, contextmanager

import psutil
import pytest
import websockets.sync.client as ws

from runtime.app.web import deadlines

ATTACKERS = 200
HALF_HEADER = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
HALF_BODY = (
    b"POST /api/v1/recognize HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 1000000\r\n\r\n"
)


def connect(live) -> socket.socket:
    return socket.create_connection(("127.0.0.1", live.port), timeout=10)


def seconds_until_closed(sock: socket.socket, limit_s: float = 10) -> float:
    began = time.monotonic()
    sock.settimeout(limit_s)
    try:
        while sock.recv(65536):
            pass
    except ConnectionError:
        pass
    return time.monotonic() - began


@contextmanager
def attack(live):
    """200 sockets: silent, trickling a header, trickling a body; those that are cut off come again."""
    stop = threading.Event()
    cut = []
    openings = [b"", HALF_HEADER, HALF_BODY, b"GET "]

    def run(sockets: list) -> None:
        while not stop.wait(0.2):
            for i, (sock, _) in enumerate(sockets):
                try:
                    if i % 4:
                        sock.send(b"x")
                except OSError:
                    sock.close()
                    sockets[i] = (connect(live), None)
                    sockets[i][0].send(openings[i % 4])
                    cut.append(i)

    with ExitStack() as stack:
        sockets = []
        for i in range(ATTACKERS):
            sock = connect(live)
            sock.send(openings[i % 4])
            sockets.append((sock, None))
        thread = threading.Thread(target=run, args=(sockets,))
        thread.start()
        stack.callback(lambda: [sock.close() for sock, _ in sockets])
        stack.callback(thread.join)
        stack.callback(stop.set)
        yield cut


def test_two_hundred_half_open_sockets_do_not_delay_another_client(live, monkeypatch):
    monkeypatch.setattr(deadlines, "HEADER_S", 1.0)
    monkeypatch.setattr(deadlines, "BODY_S", 1.5)
    paths = ["/healthz", "/api/v1/state", "/api/v1/cameras/0/snapshot", "/api/v1/classes"]
    for path in paths:
        assert live.http.get(path).status_code == 200
    before = psutil.Process().memory_info().rss
    waits = []
    with attack(live) as cut:
        until = time.monotonic() + 5
        while time.monotonic() < until:
            for path in paths:
                began = time.monotonic()
                assert live.http.get(path).status_code == 200
                waits.append(time.monotonic() - began)
        grown = psutil.Process().memory_info().rss - before
        assert len(cut) > ATTACKERS / 2, "they were cut off"
    waits.sort()
    print(
        f"{len(waits)} answers, median {waits[len(waits) // 2]:.3f} s, worst {waits[-1]:.3f} s, +{grown / 1e6:.1f} MB"
    )
    assert waits[len(waits) // 2] < 0.5
    assert waits[-1] < 2.0, "benchmarks/live/sockets.py measures it; this machine may be busy"
    assert grown < 50e6


@pytest.mark.parametrize("sent", [b"", b"GET / HT", HALF_HEADER], ids=["nothing", "half a line", "half a header"])
def test_a_header_has_a_deadline_that_trickling_does_not_extend(live, monkeypatch, sent):
    monkeypatch.setattr(deadlines, "HEADER_S", 0.5)
    with connect(live) as sock:
        sock.send(sent)
        trickle = threading.Timer(0.3, lambda: sock.send(b"x"))
        trickle.start()
        assert seconds_until_closed(sock) < 2
        trickle.join()


def test_a_body_has_a_deadline(live, monkeypatch):
    monkeypatch.setattr(deadlines, "BODY_S", 0.5)
    with connect(live) as sock:
        sock.send(HALF_BODY)
        assert seconds_until_closed(sock) < 2


def test_a_web_socket_outlives_the_deadline_of_a_body(live, monkeypatch):
    monkeypatch.setattr(deadlines, "BODY_S", 0.5)
    with ws.connect(f"ws://127.0.0.1:{live.port}/api/v1/events") as events:
        until_s = time.monotonic() + 1.5
        while time.monotonic() < until_s:
            events.recv(timeout=5)


def test_a_second_request_on_a_connection_has_its_own_header_deadline(live, monkeypatch):
    monkeypatch.setattr(deadlines, "HEADER_S", 0.6)
    with connect(live) as sock:
        for _ in range(3):
            sock.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            time.sleep(0.3)
            assert b"200 OK" in sock.recv(65536)
        sock.send(HALF_HEADER)
        assert seconds_until_closed(sock) < 2


def test_a_viewer_that_reads_nothing_is_disconnected_and_others_are_not(live, monkeypatch):
    monkeypatch.setattr(deadlines, "READ_S", 0.5)
    preview = live.service.workers["0"].preview
    with connect(live) as sock, live.http.stream("GET", "/api/v1/cameras/0/preview") as good:
        chunks = good.iter_bytes()
        next(chunks)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.send(b"GET /api/v1/cameras/0/preview HTTP/1.1\r\nHost: localhost\r\n\r\n")
        live.wait(lambda: preview.viewers == 2)
        dropped = live.wait(lambda: next(chunks) and preview.viewers == 1, timeout_s=60)
        assert dropped
        assert next(chunks)


def test_idle_connections_are_closed_to_make_room_for_requests(live, monkeypatch):
    monkeypatch.setattr(deadlines, "MAX_CONNECTIONS", 20)
    with ExitStack() as stack:
        held = [stack.enter_context(connect(live)) for _ in range(40)]
        assert live.http.get("/healthz").status_code == 200
        assert len(live.server._server.server_state.connections) <= 21
        assert seconds_until_closed(held[0]) < 1, "the oldest went first"
