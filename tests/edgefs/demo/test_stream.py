"""The demo's video: what the virtual camera films, the file it becomes, and the ground truth beside it."""

from __future__ import annotations

import importlib.util

import cv2
import numpy as np
import pytest

from edgefs.demo import stream
from edgefs.demo.spans import Span, in_order, span_at
from edgefs.demo.stream import STRANGERS, TAUGHT, Plan, record
from edgefs.demo.virtual_camera import film
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
