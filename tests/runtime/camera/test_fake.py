from __future__ import annotations

import itertools
import threading

import pytest

from runtime.camera import FakeCamera
from runtime.errors import CameraError


def test_frames_are_returned_in_order_with_the_time_of_the_rate(images):
    frames = list(FakeCamera(images, fps=10))
    assert [frame.index for frame in frames] == list(range(12))
    assert frames[5].time_s == 0.5
    assert (frames[5].image == images[5]).all()


def test_it_can_repeat_its_frames_without_end(images):
    camera = FakeCamera(images, loop=True)
    assert [frame.index for frame in itertools.islice(camera, 30)] == list(range(30))
    assert (camera.read().image == images[30 % 12]).all()


def test_a_stalled_read_times_out_and_no_frame_is_lost_after_resuming(images):
    camera = FakeCamera(images)
    camera.stall()
    assert camera.state == "stalled"
    with pytest.raises(CameraError, match=r"within 0\.01 s, but it is stalled"):
        camera.read(0.01)
    threading.Timer(0.05, camera.resume).start()
    assert camera.read().index == 0


@pytest.mark.parametrize("end", ["fail", "close"])
def test_failing_and_closing_end_a_waiting_read(images, end):
    camera = FakeCamera(images)
    camera.stall()
    threading.Timer(0.05, getattr(camera, end)).start()
    if end == "close":
        assert camera.read() is None
    else:
        with pytest.raises(CameraError, match="the fake camera failed"):
            camera.read()
    assert camera.state == "ended"


def test_a_failed_camera_stays_failed(images):
    camera = FakeCamera(images)
    camera.fail("pulled out")
    camera.resume()
    with pytest.raises(CameraError, match="pulled out"):
        camera.read()
