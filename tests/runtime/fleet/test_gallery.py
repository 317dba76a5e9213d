"""One gallery on several devices, with a real PostgreSQL between them."""

from __future__ import annotations

import threading
import time

import numpy as np
import psycopg
import pytest

import edgefs
from runtime.gallery import NewShot

pytestmark = pytest.mark.fleet


def test_what_one_device_is_taught_another_one_names(site, tmp_path, tiny_bundle, tiny, until):
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 255, (64, 64, 3), np.uint8)
    with (
        edgefs.Recognizer(tiny_bundle, gallery=f"{site}?device=a&copy={tmp_path}/a.db") as a,
        edgefs.Recognizer(tiny_bundle, gallery=f"{site}?device=b&copy={tmp_path}/b.db") as b,
    ):
        assert a.enroll("mug", [frame]).accepted
        until(lambda: b.recognize(frame).label == "mug")


def files_of(tmp_path, name: str) -> bytes:
    return b"".join(path.read_bytes() for path in (tmp_path / name).iterdir())


def test_forgotten_bytes_leave_a_device_that_was_away_and_its_outbox(site, device, tmp_path, shot, until):
    secret = NewShot(shot(1).embedding, b"a secret picture" * 100, "burst", 1.0, "test", 1e9)
    a, b = device("a"), device("b")
    a.add("me", [secret])
    until(lambda: b.status().seen == a.status().seen and b.classes and not b.status().crops_to_come)
    b.close()
    b = device("b", connect=False)
    b.add("me too", [NewShot(-secret.embedding, b"another secret" * 100, "burst", 1.0, "test", 1e9)])
    assert b"a secret picture" in files_of(tmp_path, "b")
    a.forget("me", now=True)
    b.forget("me too", now=True)
    b.close()
    assert b"another secret" not in files_of(tmp_path, "b")
    b = device("b")
    until(lambda: not b.classes and b.sync.wait(5.0))
    assert a.sync.wait(5.0)
    for name in "ab":
        assert b"secret" not in files_of(tmp_path, name)
        assert secret.embedding.tobytes() not in files_of(tmp_path, name)
    with psycopg.connect(site) as db:
        assert db.execute("SELECT count(*) FROM edgefs.shots").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM edgefs.events").fetchone() == (6,), "events stay"


def test_conflicts_are_listed_and_either_side_can_be_taken_back(site, device, shot, until):
    a, b = device("a"), device("b")
    a.add("mug", [shot(1)])
    until(lambda: b.classes)
    a.close()
    a = device("a", connect=False)
    a.rename("mug", "cup")
    b.forget("mug")
    assert b.sync.wait(5.0)
    a.close()
    a = device("a")
    until(lambda: not a.classes)
    (conflict,) = a.conflicts()
    assert conflict.text == "'mug' was forgotten at one place and could not be changed any more at another"
    assert a.take_back(conflict.other) == "forgot 'mug' (1 shot)"
    until(lambda: list(b.classes) == ["cup"])
    assert not b.conflicts()


def test_what_a_frame_is_matched_with_is_read_while_events_are_taken_in(device, shot):
    a = device("a")
    a.add("mug", [shot(1)])
    a.add_unknown_frames(shot(2).embedding[None])
    held, done = threading.Event(), threading.Event()

    def take_in() -> None:
        with a._replica.lock:
            held.set()
            done.wait(10.0)

    thread = threading.Thread(target=take_in)
    thread.start()
    held.wait(5.0)
    start = time.monotonic()
    assert (list(a.classes), len(a.unknown_frames), a.stranger_rate, a.state) == (["mug"], 1, None, "ok")
    assert time.monotonic() - start < 1.0
    done.set()
    thread.join()
