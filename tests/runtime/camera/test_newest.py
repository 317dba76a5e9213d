from __future__ import annotations

import queue
import threading
import time

import numpy as np
import pytest

from runtime.camera import FakeCamera, LiveSource, realtime
from runtime.camera.newest import Grabbed, patience
from runtime.errors import CameraError

IMAGE = np.zeros((4, 4, 3), np.uint8)


class Hand:
    """A Grabber worked by hand: whatever is put in comes out; an exception is raised."""

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


def test_a_slow_reader_gets_the_newest_frame_and_the_rest_is_counted(hand, wait_until):
    with LiveSource(hand) as source:
        for _ in range(5):
            hand.put()
        wait_until(lambda: source.dropped == 4)
        assert source.read().index == 4
        hand.put(lost=2)
        assert source.read().index == 7
        assert source.dropped == 6


def test_a_frame_is_handed_out_only_once(hand):
    with LiveSource(hand) as source:
        hand.put()
        source.read()
        with pytest.raises(CameraError, match=r"within 0\.01 s, but it is live and silent for 0\.0 s\. Do: check"):
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


def test_silence_is_a_stall_and_the_frame_from_before_it_is_not_handed_out(hand, wait_until):
    with LiveSource(hand, stall_s=0.1) as source:
        hand.put()
        wait_until(lambda: source.state == "live" and source._captured == 1)
        assert 0.05 < wait_until(lambda: source.state == "stalled") < 1
        with pytest.raises(CameraError, match="stalled"):
            source.read(0.01)
        hand.put()
        assert source.read(5).index == 1
        assert source.state == "live"


def test_close_wakes_a_reader_that_waits(hand):
    source = LiveSource(hand)
    threading.Timer(0.05, source.close).start()
    assert source.read() is None
    assert hand.closed.wait(5)


def test_a_slow_camera_is_given_three_frames_of_patience():
    assert patience(2.0, None) == patience(2.0, 30.0) == 2.0
    assert patience(2.0, 0.5) == 6.0


def test_realtime_keeps_the_pace_and_drops_what_a_slow_reader_misses():
    frames = np.zeros((20, 4, 4, 3), np.uint8)
    began = time.monotonic()
    with realtime(FakeCamera(frames, fps=50)) as source:
        indices = []
        for frame in source:
            indices.append(frame.index)
            time.sleep(0.1)
    assert 0.38 <= time.monotonic() - began < 2
    assert indices[-1] == 19
    assert source.dropped == 20 - len(indices) > 5


def test_realtime_does_not_wait_for_the_next_frame_when_closed():
    source = realtime(FakeCamera(np.zeros((2, 4, 4, 3), np.uint8), fps=0.01))
    source.read(5)
    began = time.monotonic()
    source.close()
    assert time.monotonic() - began < 1


def test_realtime_closes_a_source_that_stalls():
    fake = FakeCamera(np.zeros((2, 4, 4, 3), np.uint8))
    fake.stall()
    source = realtime(fake)
    source.close()
    assert not source._thread.is_alive()


def test_realtime_passes_on_the_error_of_its_source():
    fake = FakeCamera(np.zeros((2, 4, 4, 3), np.uint8))
    fake.fail("gone")
    with realtime(fake) as source, pytest.raises(CameraError, match="gone"):
        source.read()
