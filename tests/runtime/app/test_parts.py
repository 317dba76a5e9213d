"""The small parts: mailboxes, changes, lines, the token, logs, systemd, the window's keys and picture, uploads."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import socket
import stat
import time

import numpy as np
import pytest

from runtime.app.core.changes import Changes
from runtime.app.core.hub import MAX_PENDING, Hub
from runtime.app.core.messages import Answer, Camera, Teach
from runtime.app.logs import set_up
from runtime.app.outputs.json_lines import Lines
from runtime.app.outputs.keys import Keys
from runtime.app.outputs.window import BAR, WIDTH, drawn
from runtime.app.systemd import Systemd
from runtime.app.web.token import load_token
from runtime.app.web.uploads import BodyTooLarge, TooBusy, Upload, Uploads
from runtime.errors import OptionError


def answer(stable: str | None, camera: str = "0", label: str | None = None) -> Answer:
    return Answer(camera, 1, label, stable, None, None, None, None, None, "score", 1.0, {})


def camera(state: str = "live", message: str = "", id_: str = "0") -> Camera:
    return Camera(id_, "shop", state, message, None, 0, 0, None, None, 0, False)


# -- mailboxes


def test_a_slow_watcher_gets_the_newest_answer_and_no_queue():
    hub = Hub()
    box = hub.join(lambda: None)
    for i in range(1000):
        hub.publish(answer(str(i), camera=str(i % 2)))
    assert [(m.camera, m.stable) for m in box.take()] == [("0", "998"), ("1", "999")]
    assert box.take() == []


def test_every_kept_frame_is_told_but_never_more_than_fit():
    hub = Hub()
    box = hub.join(lambda: None)
    for i in range(3 * MAX_PENDING):
        hub.publish(Teach("0", i, 0, True, None, "", "data:"))
    assert [m.kept for m in box.take()] == list(range(2 * MAX_PENDING, 3 * MAX_PENDING))


def test_those_who_left_get_nothing_and_those_who_come_late_are_told_it_is_over():
    hub = Hub()
    box = hub.join(lambda: None)
    hub.leave(box)
    hub.publish(answer(None))
    assert (box.take(), hub.watchers) == ([], 0)
    hub.close()
    assert hub.join(lambda: None).closed


# -- changes and lines


def test_only_what_is_new_is_news():
    changes = Changes()
    messages = [answer(None), answer(None), answer("mug"), answer("mug"), answer("cap", "1"), answer(None)]
    assert [changes.is_news(m) for m in messages] == [True, False, True, False, True, True]
    messages = [camera(), camera(), camera("stalled", "!"), camera("stalled", "?"), camera(id_="1")]
    assert [changes.is_news(m) for m in messages] == [True, False, True, True, True]


def test_lines_are_json_and_what_came_before_the_end_is_written():
    hub, out = Hub(), io.StringIO()
    lines = Lines(hub, out)
    hub.publish(camera())
    hub.publish(answer("mug ü \n"))
    lines.close()
    said = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["type"] for line in said] == ["camera", "answer"]
    assert said[1]["stable"] == "mug ü \n"
    assert abs(said[1]["time_s"] - time.time()) < 60


def test_a_reader_that_has_gone_ends_the_lines():
    class Gone(io.StringIO):
        def write(self, _text):
            raise BrokenPipeError

    hub = Hub()
    lines = Lines(hub, Gone())
    hub.publish(camera())
    lines.close()
    assert lines.broken


# -- the token


def test_the_token_is_shown_once_and_only_its_digest_is_kept(tmp_path):
    path = tmp_path / "state" / "token"
    token, clear = load_token(path)
    assert clear
    assert token.fits(clear)
    assert not token.fits(clear + "x")
    assert not token.fits("")
    assert clear not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again, shown = load_token(path)
    assert shown is None
    assert again.fits(clear)
    other, renewed = load_token(path, renew=True)
    assert not other.fits(clear)
    assert other.fits(renewed)


def test_a_place_that_cannot_keep_the_token_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match="--token-file"):
        load_token(tmp_path / "file" / "token")


# -- logs and systemd


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


def test_the_watchdog_is_fed_only_while_all_is_well(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(1)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "300000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        systemd = Systemd()
        systemd.say("READY=1")
        systemd.feed_watchdog(healthy=False)
        systemd.feed_watchdog(healthy=True)
        systemd.feed_watchdog(healthy=True)  # too early
        time.sleep(0.11)
        systemd.feed_watchdog(healthy=True)
        assert [manager.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            manager.recv(100)


def test_without_systemd_nothing_is_said(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Systemd().say("READY=1")


# -- the window


def test_keys_teach_name_and_store():
    keys = Keys()
    pressed = [keys.press(ord(char)) for char in " "]
    assert pressed[0].what == "teach"
    assert keys.press(-1) is None
    assert keys.press(ord(" ")).what == "pause"
    typed = [keys.press(key) for key in (*b"mux", 8, *b"g 2", 13)]
    assert typed[-1].what == "store"
    assert typed[-1].label == "mug 2"
    assert all(action is None for action in typed[:-1])
    assert keys.mode == "idle"


def test_escape_gives_up_and_then_quits():
    keys = Keys()
    keys.press(ord(" "))
    assert keys.press(27).what == "cancel"
    assert keys.press(27).what == "quit"
    assert [keys.press(ord(key)).what for key in "nuq\t"] == ["reject", "undo", "quit", "next"]
    assert keys.press(ord("x")) is None


def test_a_name_cannot_be_empty_and_keys_are_letters_while_naming():
    keys = Keys()
    keys.press(ord(" "))
    keys.press(13)
    assert keys.press(13) is None
    assert keys.press(ord("q")) is None
    assert "name: q_" in keys.line()


@pytest.mark.parametrize("shape", [None, (720, 1280), (2, 2), (100, 3000)])
def test_the_windows_picture_has_a_bar_whatever_the_camera_gives(shape):
    image = None if shape is None else np.full((*shape, 3), 200, np.uint8)
    canvas = drawn(image, "mug ü 0.91", "space: teach", "stored")
    assert canvas.shape[1] == WIDTH
    assert canvas[-BAR:].max() > 200, "text"


# -- uploads


def body(*parts: bytes):
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]

    async def receive():
        if messages:
            return messages.pop(0)
        await asyncio.sleep(60)

    return receive


def test_a_body_is_refused_by_its_announced_length_or_when_it_goes_over():
    async def check():
        uploads = Uploads()
        with pytest.raises(BodyTooLarge, match="at most 10 bytes"):
            Upload({"headers": [(b"content-length", b"11")]}, body(), 10, uploads, counted=True)
        upload = Upload({"headers": []}, body(b"12345", b"123456"), 10, uploads, counted=True)
        await upload.receive()
        with pytest.raises(BodyTooLarge):
            await upload.receive()

    asyncio.run(check())


def test_over_the_budget_the_oldest_upload_gives_way_to_the_newest():
    async def check():
        uploads = Uploads(budget=100)
        cancelled = []

        async def slow():
            upload = Upload({"headers": []}, body(b"x" * 80), 1000, uploads, counted=True)
            try:
                await upload.receive()
                await upload.receive()
            except asyncio.CancelledError:
                cancelled.append(upload.evicted)

        task = asyncio.create_task(slow())
        await asyncio.sleep(0.05)
        young = Upload({"headers": []}, body(b"x" * 60, b"x" * 60), 1000, uploads, counted=True)
        await young.receive()
        await task
        assert cancelled == [True]
        with pytest.raises(TooBusy):  # alone over the budget
            await young.receive()

    asyncio.run(check())
