"""Logs without passwords."""

from __future__ import annotations

import logging

import pytest

from runtime.app.logs import set_up
from runtime.errors import OptionError


def test_no_password_reaches_the_log_not_even_in_a_traceback(tmp_path):
    path = tmp_path / "logs" / "live.log"
    handler = set_up(path)
    try:
        log = logging.getLogger("a.test")
        log.info("opening %s", "rtsp://admin:hunter2@camera/stream?key=hunter2")
        try:
            raise OSError("rtsp://admin:hunter2@camera refused")
        except OSError:
            log.exception("lost")
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
    text = path.read_text()
    assert "opening rtsp://***@camera/stream?***" in text
    assert "Traceback" in text
    assert "hunter2" not in text


def test_a_log_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OptionError, match="--log"):
        set_up(tmp_path)
