"""The thread that reads a camera."""

from __future__ import annotations

import time

import numpy as np

from runtime.app.core.cameras import CameraThread
from runtime.camera.fake import FakeCamera


class ReadAhead(FakeCamera):
    """As a file whose reader is done while its last frames are still to be shown."""

    state = "ended"


def play(*, again: bool) -> tuple[list[str], int]:
    """The states said of a camera of three frames, and how many frames were handed on in a while."""
    frames, states = [], []
    camera = CameraThread(
        "clip",
        lambda: ReadAhead(np.zeros((3, 8, 8, 3), np.uint8)),
        again=again,
        on_frame=lambda frame: (frames.append(frame), time.sleep(0.01)),
        on_health=lambda health: states.append(health.state),
    )
    camera.start()
    limit_s = time.monotonic() + 10
    while len(frames) < 30 and not camera.ended and time.monotonic() < limit_s:
        time.sleep(0.01)
    camera.stop()
    camera.join()
    return states, len(frames)


def test_a_clip_that_plays_in_a_loop_never_says_that_it_ended():
    states, n_frames = play(again=True)
    assert n_frames >= 30
    assert set(states) == {"live"}


def test_a_clip_that_plays_once_says_that_it_ended():
    states, n_frames = play(again=False)
    assert n_frames == 3
    assert states[-1] == "ended"
