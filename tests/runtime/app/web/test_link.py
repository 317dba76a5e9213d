"""The address of the page, as text and as a QR code."""

from __future__ import annotations

import io
import sys

import cv2
import numpy as np
import pytest

from runtime.app.web import link
from runtime.app.web.link import address, picture_code, terminal_code


def test_the_address_for_all_networks_is_one_that_another_device_can_open(monkeypatch):
    monkeypatch.setattr(link, "network_address", lambda: "192.0.2.7")
    assert address("0.0.0.0", 8080) == "http://192.0.2.7:8080/"
    assert address("::1", 80, https=True) == "https://[::1]:80/"
    monkeypatch.setattr(link, "network_address", lambda: None)
    assert address("", 8080).startswith("http://")


def test_the_qr_code_in_the_terminal_can_be_read_back():
    pytest.importorskip("segno", reason="pip install segno")
    text = "http://192.0.2.7:8080/#token=abc"
    import segno

    matrix = np.array([[0 if dark else 255 for dark in row] for row in segno.make(text, error="l", micro=False).matrix])
    picture = cv2.copyMakeBorder(matrix.astype(np.uint8), 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=255)
    picture = cv2.resize(picture, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
    assert cv2.QRCodeDetector().detectAndDecode(picture)[0] == text
    assert picture_code(text).startswith(b"<?xml")


def test_a_terminal_without_block_characters_gets_no_code(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert terminal_code("http://192.0.2.7/") == ""


def test_without_segno_there_is_no_code(monkeypatch):
    monkeypatch.setitem(sys.modules, "segno", None)
    assert terminal_code("a") == ""
    assert picture_code("a") is None
