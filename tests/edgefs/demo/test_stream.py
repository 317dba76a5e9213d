"""The demo's video: what the virtual camera films, the file it becomes, and the ground truth beside it."""

from __future__ import annotations

import importlib.util

import cv2
import numpy as np
import pytest

from edgefs.demo import stream, virtual_camera
from edgefs.demo.spans import Span, in_order, span_at
from edgefs.demo.stream import STRANGERS, TAUGHT, Plan, record
from edgefs.demo.virtual_camera import DESK, HEIGHT, WIDTH, film
from edgefs.reports.progress import silent
from runtime.camera import open_camera
from runtime.errors import CameraError, CameraMissing, FrameError

SHORT = Plan(teach_s=0.3, test_s=0.2, tests=1)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    pytest.importorskip("skimage", reason="the photographs come from scikit-image: pip install 'edgefs[demo]'")
    return record(tmp_path_factory.mktemp("film"), seed=0, plan=SHORT, progress=silent)


@pytest.fixture(scope="module")
def frames(recording):
    with open_camera(recording.path) as camera:
        return [(frame.time_s, cv2.resize(frame.image, (160, 90), interpolation=cv2.INTER_AREA)) for frame in camera]


def checkers() -> np.ndarray:
    return np.kron(np.indices((6, 8)).sum(axis=0) % 2 * 255, np.ones((40, 40)))[..., None].repeat(3, 2).astype(np.uint8)


def test_every_frame_that_was_filmed_comes_back_from_the_file_in_exactly_one_span(recording, frames):
    spans = [*recording.taught, *recording.truth]
    held = [span_at(spans, time_s) for time_s, _ in frames]
    assert [held.count(span) for span in spans] == [9] * len(TAUGHT) + [6] * len(recording.truth)
    assert None not in held


def test_the_picture_changes_exactly_where_a_span_begins(recording, frames):
    pictures = np.stack([image for _, image in frames]).astype(float)
    jumps = np.abs(np.diff(pictures, axis=0)).mean(axis=(1, 2, 3))
    starts = [span.start_s for span in (*recording.taught[1:], *recording.truth)]
    cuts = np.sort(np.argsort(jumps)[-len(starts) :]) + 1
    assert all(frames[cut - 1][0] < start < frames[cut][0] for cut, start in zip(cuts, starts, strict=True))


def test_all_teaching_comes_first_and_strangers_are_never_taught(recording):
    assert [span.subject for span in recording.taught] == list(TAUGHT)
    assert recording.taught[-1].end_s <= recording.truth[0].start_s
    assert {span.subject for span in recording.truth} == {*TAUGHT, *STRANGERS}
    assert {span.label for span in recording.truth if span.subject in STRANGERS} == {None}


def test_a_seed_decides_everything_and_no_two_frames_are_alike():
    first, again, other = (list(film(checkers(), 3, np.random.default_rng(seed))) for seed in (0, 0, 1))
    assert first[0].shape == (HEIGHT, WIDTH, 3)
    assert first[0].dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], other[0])


def test_the_camera_never_loses_sight_of_the_middle_of_the_print():
    centre = np.array([[[DESK[1] / 2, DESK[0] / 2]]])
    for seed in range(50):
        for pose in virtual_camera._poses(48, np.random.default_rng(seed)):
            x, y = cv2.perspectiveTransform(centre, pose)[0, 0]
            assert 0.3 * WIDTH < x < 0.7 * WIDTH
            assert 0.3 * HEIGHT < y < 0.7 * HEIGHT


def test_a_still_camera_does_not_blur_and_a_moving_one_blurs_along_its_way():
    frame = cv2.resize(checkers(), (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
    still, moving = np.eye(3), np.array([[1, 0, 16], [0, 1, 0], [0, 0, 1.0]])
    assert virtual_camera._smear(frame, still, still) is frame
    blurred = virtual_camera._smear(frame, still, moving).astype(float)
    across, along = (np.abs(np.diff(blurred, axis=axis)).max() for axis in (0, 1))
    assert along < 64 < across


def test_motion_jpeg_is_written_where_mpeg4_cannot_be(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "CODECS", (("none", ".mp4"), ("MJPG", ".avi")))
    path = stream._write(tmp_path / "stream", film(checkers(), 2, np.random.default_rng(0)))
    with open_camera(path) as camera:
        assert (path.suffix, len(list(camera))) == (".avi", 2)


def test_an_opencv_that_writes_no_video_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "CODECS", (("none", ".mp4"),))
    with pytest.raises(CameraError, match="this OpenCV can do neither; see edgefs doctor"):
        stream._write(tmp_path / "stream", [])


def test_without_scikit_image_the_install_line_is_given(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(CameraMissing, match=r"pip install 'edgefs\[demo\]'"):
        record(tmp_path, plan=SHORT, progress=silent)


def test_spans_are_put_in_order_and_must_not_share_frames():
    mug, cap = Span(4, 5, "mug", "mug"), Span(0, 1, "cap", "cap")
    assert in_order([mug, cap]) == [cap, mug]
    assert span_at([mug], 5) is None
    with pytest.raises(FrameError, match=r"cap=0-1 and mug=0\.5-2 must not overlap"):
        in_order([Span(0.5, 2, "mug", "mug"), cap])
    with pytest.raises(FrameError, match="mug=2-1 must start at 0 or later and end after its start"):
        in_order([Span(2, 1, "mug", "mug")])
