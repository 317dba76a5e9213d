"""The camera scenario counts every frame once, as recognised or as dropped."""

import time

from edgefs.bench.cameras import WARM_UP_S, PacedCamera
from runtime.opencv import encode_jpeg


def test_every_frame_is_recognised_or_dropped(report):
    found = report["results"][0]["camera"]
    assert found["recognised"] > 0
    assert found["recognised"] + found["dropped"] == 2 * round((WARM_UP_S + 0.2) * 15)
    assert found["capture_to_answer"]["max_ms"] > 0


def test_a_camera_that_is_read_too_late_loses_frames_and_then_ends(tiny):
    jpeg = encode_jpeg(next(iter(tiny.views(0, 1))))
    camera = PacedCamera("camera", jpeg, fps=10, seconds=1, start_s=time.monotonic() - 0.55)
    first = camera.grab()
    assert (first.image.ndim, first.lost_frames if hasattr(first, "lost_frames") else first[2]) == (3, 5)
    camera.interrupt()
    assert camera.grab() is None
