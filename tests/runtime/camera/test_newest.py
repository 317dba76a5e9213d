from __future__ import annotations

import queue
import threading
import time

import numpy as np
import pytest

from runtime.camera import LiveSource
from runtime.camera.newest import Grabbed, patience
from runtime.errors import CameraError

IMAGE = np.zeros((4, 4, 3), np.uint8)


class Hand:
    """A Grabber that returns what is put into it, and raises an exception that is put into it."""

    name = "hand"
    fps = None
    connected = True

    def __init__(self) -> None:
        self.inbox: queue.Queue[Grabbed | Exception | None] = queue.Queue()
        self.closed = threading.Event()

    def put(self, lost: int = 0) -> None:
        self.inbox.put(Grabbed(IMAGE, time.monotonic(), lost))

    def grab(self) -> Grabbed | None:
        item = self.inbox.get()
        if isinstance(item, Exception):
            raise item
        return item

    def interrupt(self) -> None:
        self.inbox.put(None)

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def hand() -> Hand:
    return Hand()


def test_a_slow_reader_gets_the_newest_frame_and_the_others_are_counted(hand, wait_until):
    with LiveSource(hand) as source:
        for _ in range(5):
            hand.put()
        wait_until(lambda: source.dropped == 4)
        assert source.read().index == 4
        hand.put(lost=2)
        assert source.read().index == 7
        assert source.dropped == 6


def test_a_frame_is_returned_only_once(hand):
    with LiveSource(hand) as source:
        hand.put()
        source.read()
        with pytest.raises(
            CameraError, match=r"within 0\.01 s, but it is live and has sent nothing for 0\.0 s\. Do: check"
        ):
            source.read(0.01)


def test_a_lost_camera_raises_its_reason_from_every_read(hand):
    with LiveSource(hand) as source:
        hand.inbox.put(CameraError("unplugged"))
        for _ in range(2):
            with pytest.raises(CameraError, match="unplugged"):
                source.read()
        assert source.state == "ended"
    assert hand.closed.is_set()


def test_a_bug_in_a_camera_reaches_the_reader(hand):
    with LiveSource(hand) as source:
        hand.inbox.put(ZeroDivisionError("by zero"))
        with pytest.raises(CameraError, match="hand stopped: ZeroDivisionError: by zero"):
            source.read()


def test_a_camera_that_sends_nothing_is_stalled_and_its_last_frame_is_dropped(hand, wait_until):
    with LiveSource(hand, stall_s=0.1) as source:
        hand.put()
        wait_until(lambda: source.state == "live" and source._captured == 1)
        assert 0.05 < wait_until(lambda: source.state == "stalled") < 1
        with pytest.raises(CameraError, match="stalled"):
            source.read(0.01)
        hand.put()
        assert source.read(5).index == 1
        assert source.state == "live"


def test_close_ends_a_waiting_read(hand):
    source = LiveSource(hand)
    threading.Timer(0.05, source.close).start()
    assert source.read() is None
    assert hand.closed.wait(5)


def test_a_slow_camera_is_stalled_after_three_frame_intervals():
    assert patience(2.0, None) == patience(2.0, 30.0) == 2.0
    assert patience(2.0, 0.5) == 6.0
