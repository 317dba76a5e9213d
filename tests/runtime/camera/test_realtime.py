"""A file that is played at its own speed like a camera."""

import time

import numpy as np
import pytest

from runtime.camera import FakeCamera, realtime
from runtime.errors import CameraError


def test_a_file_is_played_at_its_speed_and_frames_that_are_not_read_are_dropped():
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


def test_closing_does_not_wait_for_the_next_frame():
    source = realtime(FakeCamera(np.zeros((2, 4, 4, 3), np.uint8), fps=0.01))
    source.read(5)
    began = time.monotonic()
    source.close()
    assert time.monotonic() - began < 1


def test_closing_ends_a_source_that_stalls():
    fake = FakeCamera(np.zeros((2, 4, 4, 3), np.uint8))
    fake.stall()
    source = realtime(fake)
    source.close()
    assert not source._thread.is_alive()


def test_the_error_of_the_source_is_raised():
    fake = FakeCamera(np.zeros((2, 4, 4, 3), np.uint8))
    fake.fail("gone")
    with realtime(fake) as source, pytest.raises(CameraError, match="gone"):
        source.read()
