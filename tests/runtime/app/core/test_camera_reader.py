"""The thread that reads a camera, and the source that a text names."""

from __future__ import annotations

import time

import numpy as np
import pytest

from runtime.app.core.camera_reader import CameraReader, CameraSource, camera_source
from runtime.camera.fake import FakeCamera


class ReadAhead(FakeCamera):
    """A file whose reader has ended while its last frames are still to be shown."""

    state = "ended"


def play(*, loop: bool) -> tuple[list[str], int]:
    """Return the reported states of a camera of three frames, and how many frames were handed on in a while."""
    frames, states = [], []
    camera = CameraReader(
        CameraSource("clip", lambda: ReadAhead(np.zeros((3, 8, 8, 3), np.uint8)), loop=loop),
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


def test_a_clip_that_plays_in_a_loop_never_reports_that_it_ended():
    states, n_frames = play(loop=True)
    assert n_frames >= 30
    assert set(states) == {"live"}


def test_a_clip_that_plays_once_reports_that_it_ended():
    states, n_frames = play(loop=False)
    assert n_frames == 3
    assert states[-1] == "ended"


@pytest.mark.parametrize(
    ("text", "recorded"),
    [("0", False), ("/dev/video2", False), ("rtsp://camera/cam", False), ("v4l2src ! appsink", False),
     ("clip.mp4", True), ("no/such/folder", True), ("0.mp4", True)],
)  # fmt: skip
def test_only_a_file_or_folder_is_a_recorded_source(text, recorded):
    assert camera_source(text, loop=True).recorded == recorded
    assert camera_source(text, loop=True).loop == recorded


@pytest.mark.parametrize("content", [None, b"no video"], ids=["absent", "no video"])
def test_a_file_that_cannot_be_played_once_ends_with_its_error(tmp_path, content, caplog):
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    reports = []
    reader = CameraReader(
        camera_source(str(path), loop=False), on_frame=lambda _: None, on_health=lambda health: reports.append(health)
    )
    reader.start()
    reader.join()
    assert reader.ended
    assert "clip.mp4" in str(reader.error)
    assert reports[-1].state == "missing"
    assert len(caplog.records) == 1  # the terminal says it, once
