"""The frames that a command works on: spans of time, every n-th frame, and Ctrl-C."""

import os
import signal
import threading
import time
from argparse import Namespace

import numpy as np
import pytest

from edgefs.cli.frames import frames_of
from runtime.camera import Frame


class Camera:
    """A live source of which one waits for each frame."""

    live = True

    def __init__(self):
        self.stopped = threading.Event()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stopped.set()

    def __iter__(self):
        for index in range(1000):
            time.sleep(0.005)
            yield Frame(np.zeros((2, 2, 3), np.uint8), index, 100 + index / 20)


@pytest.fixture
def camera(monkeypatch):
    made = Camera()
    monkeypatch.setattr("edgefs.cli.frames.open_camera", lambda *_, **__: made)
    return made


def options(**given):
    return Namespace(**{"region": None, "start": 0.0, "seconds": None, "every": 1, **given})


def test_start_and_seconds_count_from_the_first_frame_of_a_camera(camera):
    times = [frame.time_s for frame in frames_of("0", options(start=0.5, seconds=0.5))]
    assert times[0] == pytest.approx(100.5)
    assert times[-1] == pytest.approx(100.95)
    assert camera.stopped.is_set()


def test_ctrl_c_ends_a_live_stream_and_keeps_what_it_gave(camera):
    usual = signal.getsignal(signal.SIGINT)
    taken = []
    for frame in frames_of("0", options()):
        taken.append(frame)
        if len(taken) == 3:
            os.kill(os.getpid(), signal.SIGINT)
    assert 3 <= len(taken) <= 4
    assert camera.stopped.is_set()
    assert signal.getsignal(signal.SIGINT) is usual


def test_a_second_ctrl_c_interrupts(camera):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever an earlier test left

    def impatient():
        for _ in frames_of("0", options()):
            signal.raise_signal(signal.SIGINT)  # to this thread: two for the whole process may become one
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        impatient()
    assert camera.stopped.is_set()


def test_a_camera_can_be_read_in_a_thread_too(camera):
    got = []
    thread = threading.Thread(target=lambda: got.extend(frames_of("0", options(seconds=0.2))))
    thread.start()
    thread.join(5)
    assert len(got) == 4
