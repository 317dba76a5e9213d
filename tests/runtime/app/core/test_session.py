"""The session without a camera, a clock or a socket."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runtime.app.core.messages import FrameRegion
from runtime.app.core.session import (
    BUSY,
    LIVE_S,
    MAX_KEPT,
    RECORDED_LIVE_S,
    REMEMBER_S,
    CameraHealth,
    CameraSession,
    InvalidState,
)
from runtime.recognition import Recognition
from runtime.teaching.coach import Advice

FRAME = np.zeros((72, 128, 3), np.uint8)
RECEIPT = {"total": 12.0}
UNKNOWN = Recognition(None, "unknown", "mug", 0.2, 0.6, None, np.inf, "score", (), {}, np.zeros(4, np.float32))
MUG = replace(UNKNOWN, label="mug", certainty="sure", score=0.9, check="accepted")


class HalfCoach:
    """A coach that takes every other frame."""

    label = None

    def __init__(self) -> None:
        self.kept: list[object] = []
        self.refused = 0

    def look(self, frame: np.ndarray) -> Advice:
        if (len(self.kept) + self.refused) % 2:
            self.refused += 1
            return Advice(False, "same view", "same view: turn it")
        self.kept.append(frame)
        return Advice(True, None, "4 more views")


@pytest.fixture
def session() -> CameraSession:
    return CameraSession("0", "shop")


def test_a_camera_is_live_only_while_its_picture_is_young(session):
    session.health = CameraHealth("live", fps=30.0, width=1280, height=720)
    session.newest_s = 100.0
    assert session.camera(100.0 + LIVE_S).state == "live"
    late = session.camera(100.1 + LIVE_S)
    assert (late.state, late.frame_age_s) == ("stalled", 0.6)
    assert late.message
    session.newest_s = 101.0
    assert session.camera(101.0).state == "live"


def test_a_region_suggests_itself_where_something_moves_and_cuts_what_was_kept(session):
    class Cutting(HalfCoach):
        def cut(self, part):
            self.kept = [part(frame) for frame in self.kept]

    def shown(i):
        frame = np.zeros((72, 128, 3), np.uint8)
        frame[20:50, 40 + 2 * i : 60 + 2 * i] = 200
        return frame

    session.start_teaching(Cutting())
    messages = [session.teach(shown(i), lambda _: b"") for i in range(16)]
    assert messages[0].region is None
    region = messages[-1].region
    assert 0 < region.x < 40 / 128
    assert region.w * region.h < 0.45
    session.cut_teaching(region)
    assert session.region == region
    assert {frame.shape for frame in session.teaching.kept} == {session.cut(shown(0)).shape}
    with pytest.raises(InvalidState, match="looks at a region already"):
        session.cut_teaching(region)
    session.start_teaching(Cutting())
    assert {session.teach(shown(i), lambda _: b"").region for i in range(16)} == {None}


def test_a_late_frame_of_a_file_does_not_blame_a_cable():
    session = CameraSession("0", "clip", recorded=True)
    session.health = CameraHealth("live", fps=30.0)
    session.newest_s = 100.0
    assert session.camera(100.0 + RECORDED_LIVE_S).state == "live"
    late = session.camera(101.0 + RECORDED_LIVE_S)
    assert (late.state, late.message) == ("stalled", BUSY)


def test_a_slow_camera_is_live_for_three_frame_intervals(session):
    session.health = CameraHealth("live", fps=1.0)
    session.newest_s = 100.0
    assert session.camera(102.9).state == "live"
    assert session.camera(103.1).state == "stalled"


def test_a_camera_that_is_missing_is_not_called_live(session):
    assert session.camera(0.0).state == "connecting"
    session.health = CameraHealth("missing", "no such device")
    session.newest_s = 1.0
    assert (session.camera(1.0).state, session.camera(1.0).message) == ("missing", "no such device")


@pytest.mark.parametrize(
    ("region", "shape"),
    [
        (None, (72, 128)),
        (FrameRegion(0, 0, 1, 1), (72, 128)),
        (FrameRegion(0.5, 0.5, 0.25, 0.5), (36, 32)),
        (FrameRegion(1, 1, 0.1, 0.1), (1, 1)),
        (FrameRegion(0.999, 0, 1, 1), (72, 1)),
        (FrameRegion(0, 0, 1e-9, 1e-9), (1, 1)),
    ],
)
def test_a_region_is_cut_in_fractions_and_never_empty(session, region, shape):
    session.set_region(region)
    assert session.cut(FRAME).shape[:2] == shape


def test_answers_are_smoothed_and_remembered_when_they_change(session):
    ids = iter(range(1, 100))
    said = []
    for i in range(20):
        recognition = MUG if i >= 10 else UNKNOWN
        id_ = session.remember(recognition, 100 + i / 30, lambda: next(ids))
        said.append(session.answer(recognition, 100 + i / 30, id_, RECEIPT))
    assert [answer.label for answer in said] == [None] * 10 + ["mug"] * 10
    assert said[10].stable is None, "one frame is not yet an answer"
    assert said[-1].stable == "mug"
    changes = [i for i in range(1, 20) if said[i].id != said[i - 1].id]
    assert 10 in changes
    assert len(changes) <= 2 + 20 / 30 / REMEMBER_S
    assert said[-1].margin is None, "infinity is no JSON"


def test_another_region_starts_the_smoothing_again(session):
    for i in range(9):
        last = session.answer(MUG, i / 30, 1, RECEIPT)
    assert last.stable == "mug"
    session.set_region(FrameRegion(0, 0, 0.5, 0.5))
    assert session.answer(MUG, 0.4, 1, RECEIPT).stable is None


def test_a_teaching_session_reports_every_frame_and_is_bounded(session):
    assert session.teach(FRAME, lambda _: b"") is None
    session.start_teaching(HalfCoach())
    messages = [session.teach(FRAME, lambda _: b"jpeg") for _ in range(3 * MAX_KEPT)]
    assert [(t.accepted, t.kept, t.refused) for t in messages[:3]] == [(True, 1, 0), (False, 1, 1), (True, 2, 1)]
    assert messages[0].thumb == "data:image/jpeg;base64,anBlZw=="
    assert messages[1].thumb, "the first refusal is shown"
    assert messages[-1].thumb is None, "the same again is not"
    assert (messages[-1].kept, messages[-1].reason) == (MAX_KEPT, "enough")
    assert len(session.end_teaching().kept) == MAX_KEPT
    with pytest.raises(InvalidState, match="Camera 0 must be teaching"):
        session.end_teaching()
