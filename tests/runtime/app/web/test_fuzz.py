"""Bytes that are no HTTP, and frames that are no WebSocket, leave the server as it was and log no traceback."""

from __future__ import annotations

import base64
import logging
import os
import socket
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.app.web.api import ROUTES

TIMES = float(os.environ.get("EDGEFS_FUZZ", "1"))  # as in tests/fuzz/test_targets.py
EXAMPLES = settings(
    max_examples=round(400 * TIMES), deadline=None, derandomize=TIMES == 1, suppress_health_check=list(HealthCheck)
)
PATHS = st.sampled_from(
    [
        route.path.replace("{id:int}", "1").replace("{camera}", "0")
        for route in ROUTES
        if not route.path.endswith("/preview")
    ]
)
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "BREW"])
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "content-length",
                "content-type",
                "transfer-encoding",
                "cookie",
                "authorization",
                "origin",
                "range",
                "expect",
            ]
        ),
        st.one_of(
            st.sampled_from(
                ["-1", "0", "99999999999", "chunked", "application/json", "multipart/form-data; boundary=", "null"]
            ),
            st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20),
        ),
    ),
    max_size=4,
)
BODIES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [b"{}", b"[]", b'{"id": 1e999}', b'{"label": "\\ud800"}', b"[" * 5000, b"\xff\xfe", b"5\r\nhello\r\n0\r\n\r\n"]
    ),
)


def exchanged(port: int, data: bytes) -> bytes:
    """Send bytes and return what comes within a quarter of a second."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.settimeout(0.25)
        with suppress(OSError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(65_536)
    return b""


@pytest.fixture
def quiet(live, caplog):
    """The app; afterwards it must answer, and must have logged no traceback and no failed request."""
    with caplog.at_level(logging.INFO):
        yield live
    assert live.http.get("/healthz").status_code == 200
    assert live.http.get("/api/v1/state").json()
    assert [record.message for record in caplog.records if record.exc_info or "failed" in record.message] == []


def test_no_request_of_any_bytes_breaks_the_server(quiet):
    @EXAMPLES
    @given(METHODS, PATHS, HEADERS, BODIES, st.booleans())
    def ask(method, path, headers, body, sized):
        lines = [
            f"{method} {path} HTTP/1.1",
            f"host: 127.0.0.1:{quiet.port}",
            *(f"{name}: {value}" for name, value in headers),
        ]
        lines += [f"content-length: {len(body)}"] * sized
        answer = exchanged(quiet.port, "\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        assert not answer.startswith(b"HTTP/1.1 500")

    @EXAMPLES
    @given(st.binary(max_size=300))
    def send(data):
        assert not exchanged(quiet.port, data).startswith(b"HTTP/1.1 500")

    ask()
    send()


def test_no_frames_of_any_bytes_break_the_websocket(quiet):
    key = base64.b64encode(b"0123456789abcdef").decode()
    lines = [
        "GET /api/v1/events HTTP/1.1",
        f"host: 127.0.0.1:{quiet.port}",
        "upgrade: websocket",
        "connection: upgrade",
    ]
    lines += [
        f"sec-websocket-key: {key}",
        "sec-websocket-version: 13",
        f"origin: http://127.0.0.1:{quiet.port}",
        "",
        "",
    ]

    def frame(first, masked, length, payload):
        mask = b"abcd" if masked else b""
        body = bytes(each ^ mask[at % 4] for at, each in enumerate(payload)) if masked else payload
        size = len(payload) if length is None else length
        head = bytes([first, (128 if masked else 0) | min(size, 127)])
        return head + (size.to_bytes(8, "big") if size >= 127 else b"") + mask + body

    frames = st.builds(
        frame,
        st.integers(0, 255),
        st.booleans(),
        st.sampled_from([None, None, 0, 126, 2**31, 2**63]),
        st.binary(max_size=100),
    )

    @EXAMPLES
    @given(st.one_of(st.lists(frames, max_size=5).map(b"".join), st.binary(max_size=100)))
    def send(data):
        answer = exchanged(quiet.port, "\r\n".join(lines).encode() + data)
        assert answer.startswith(b"HTTP/1.1 101"), answer

    send()
