"""The QR code with the page's address; health, document, metrics and login are in test_api.py."""

from __future__ import annotations

import sys

import pytest


def test_the_qr_code_is_offered_only_where_other_devices_can_connect(shared_live, public_live):
    pytest.importorskip("segno", reason="pip install segno")
    refused = shared_live.http.get("/api/v1/qr")
    assert refused.status_code == 404
    assert "--host 0.0.0.0" in refused.json()["error"]["message"]
    code = public_live.http.get("/api/v1/qr")
    assert code.headers["content-type"] == "image/svg+xml"
    assert b"<svg" in code.content


def test_the_qr_code_of_a_public_device_needs_the_token(public_live):
    assert public_live.http.get("/api/v1/qr", headers={"Authorization": ""}).status_code == 401


def test_without_segno_the_message_says_what_to_install(public_live, monkeypatch):
    monkeypatch.setitem(sys.modules, "segno", None)
    assert "pip install segno" in public_live.http.get("/api/v1/qr").json()["error"]["message"]
