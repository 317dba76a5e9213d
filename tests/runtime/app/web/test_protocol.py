"""Unusual requests: many headers, wrong methods, text that is not UTF-8, and uploads without a temporary folder."""

from __future__ import annotations

import http.client
import logging
import tempfile
from collections import defaultdict
from contextlib import suppress

import cv2
import httpx
import pytest
import websockets.sync.client as ws
from websockets.exceptions import ConnectionClosed

from runtime.app.web.api import ROUTES
from runtime.app.web.throttle import FAILURES


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({f"x-{i}": "1" for i in range(60)}, 200),
        ({f"x-{i}": "1" for i in range(10_000)}, 431),
        ({"x-long": "1" * 40_000}, 431),
    ],
)
def test_too_many_or_too_long_headers_are_refused(shared_live, headers, status):
    connection = http.client.HTTPConnection("127.0.0.1", shared_live.port, timeout=10)
    connection.request("GET", "/healthz", headers=headers)
    assert connection.getresponse().status == status
    connection.close()


def test_a_wrong_method_is_answered_with_the_methods_of_all_routes_of_the_path(shared_live):
    methods = defaultdict(set)
    for route in ROUTES:
        methods[route.path.replace("{id:int}", "1").replace("{camera}", "0")].add(route.method)
    methods["/static/main.js"] = {"GET"}
    for path, allowed in methods.items():
        response = shared_live.http.request("OPTIONS", path)
        assert response.status_code == 405
        expected = allowed | ({"HEAD"} if "GET" in allowed else set())
        assert set(response.headers["allow"].split(", ")) == expected, path


def test_text_that_is_not_utf_8_closes_the_websocket_without_a_traceback(shared_live, caplog):
    with (
        caplog.at_level(logging.INFO),
        ws.connect(f"ws://127.0.0.1:{shared_live.port}/api/v1/events") as socket,
    ):
        socket.recv(timeout=10)
        with socket.send_context():
            socket.protocol.send_text(b"\xff\xfe")
        with suppress(ConnectionClosed):
            while socket.recv(timeout=10):
                pass
        assert socket.protocol.close_rcvd.code == 1007
    assert not [record for record in caplog.records if record.exc_info]


def test_a_client_that_offers_wrong_tokens_must_wait_and_it_is_logged(public_live, caplog):
    with httpx.Client(base_url=f"http://127.0.0.1:{public_live.port}") as stranger:
        answers = [
            stranger.post("/api/v1/login", json={"token": f"wrong {i}"}).status_code for i in range(FAILURES + 2)
        ]
    assert answers == [401] * FAILURES + [429] * 2
    assert "A login from 127.0.0.1 was refused" in caplog.text
    assert "wrong 1" not in caplog.text


def test_no_upload_needs_the_temporary_folder_of_the_system(live, tiny, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    png = cv2.imencode(".bmp", cv2.resize(tiny.views(1, 1)[0], (1000, 700)))[1].tobytes()
    assert len(png) > 2_000_000  # Starlette keeps smaller ones in memory
    response = live.http.post("/api/v1/classes/shots", params={"label": "mug"}, files={"pictures": ("a.bmp", png)})
    assert response.status_code == 200, response.text
    archive = live.http.get("/api/v1/gallery")
    assert archive.status_code == 200, archive.text
    response = live.http.post("/api/v1/gallery", content=archive.content, headers={"content-type": "application/zip"})
    assert response.status_code == 200, response.text
    assert not list(live.service.recognizer.gallery.path.parent.glob(".edgefs-*"))


def test_an_integer_may_be_written_with_a_point_as_json_schema_allows(live):
    assert live.http.post("/api/v1/undo", json={"id": 7.0}).status_code == 409
    assert live.http.post("/api/v1/undo", json={"id": 7.5}).status_code == 422
    assert live.http.post("/api/v1/visits/remove", json={"ids": [1.0, 2]}).status_code == 200
    assert live.http.post("/api/v1/visits/remove", json={"ids": [1.0, "2"]}).status_code == 422
