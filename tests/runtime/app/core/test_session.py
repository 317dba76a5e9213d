"""The session without a camera, a clock or a socket."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runtime.app.core.messages import Region
from runtime.app.core.session import LIVE_S, MAX_KEPT, REMEMBER_S, Health, NotNow, Stream
from runtime.recognition import Recognition
from runtime.teaching.coach import Advice

FRAME = np.zeros((72, 128, 3), np.uint8)
RECEIPT = {"total": 12.0}
UNKNOWN = Recognition(None, "mug", 0.2, 0.6, None, float("inf"), "score", (), {}, embedding=np.zeros(4, np.float32))
MUG = replace(UNKNOWN, label="mug", score=0.9, check="accepted")


class Teacher:
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
def stream() -> Stream:
    return Stream("0", "shop")


def test_a_camera_is_live_only_while_its_picture_is_young(stream):
    stream.see(Health("live", fps=30.0, width=1280, height=720))
    stream.saw(100.0)
    assert stream.camera(100.0 + LIVE_S).state == "live"
    late = stream.camera(100.1 + LIVE_S)
    assert (late.state, late.frame_age_s) == ("stalled", 0.6)
    assert late.message
    stream.saw(101.0)
    assert stream.camera(101.0).state == "live"


def test_a_slow_camera_may_take_three_of_its_frames(stream):
    stream.see(Health("live", fps=1.0))
    stream.saw(100.0)
    assert stream.camera(102.9).state == "live"
    assert stream.camera(103.1).state == "stalled"


def test_what_the_camera_says_of_itself_is_not_made_better(stream):
    assert stream.camera(0.0).state == "connecting"
    stream.see(Health("missing", "no such device"))
    stream.saw(1.0)
    assert (stream.camera(1.0).state, stream.camera(1.0).message) == ("missing", "no such device")


@pytest.mark.parametrize(
    ("region", "shape"),
    [
        (None, (72, 128)),
        (Region(0, 0, 1, 1), (72, 128)),
        (Region(0.5, 0.5, 0.25, 0.5), (36, 32)),
        (Region(1, 1, 0.1, 0.1), (1, 1)),
        (Region(0.999, 0, 1, 1), (72, 1)),
        (Region(0, 0, 1e-9, 1e-9), (1, 1)),
    ],
)
def test_a_region_is_cut_in_fractions_and_never_empty(stream, region, shape):
    stream.look_at(region)
    assert stream.cut(FRAME).shape[:2] == shape


def test_answers_are_smoothed_and_remembered_when_they_say_something_new(stream):
    ids = iter(range(1, 100))
    said = []
    for i in range(20):
        recognition = MUG if i >= 10 else UNKNOWN
        id_ = stream.remembered(recognition, 100 + i / 30, lambda: next(ids))
        said.append(stream.answer(recognition, 100 + i / 30, id_, RECEIPT))
    assert [answer.label for answer in said] == [None] * 10 + ["mug"] * 10
    assert said[10].stable is None, "one frame is not yet an answer"
    assert said[-1].stable == "mug"
    changes = [i for i in range(1, 20) if said[i].id != said[i - 1].id]
    assert 10 in changes
    assert len(changes) <= 2 + 20 / 30 / REMEMBER_S
    assert said[-1].margin is None, "infinity is no JSON"


def test_another_region_forgets_what_was_stable(stream):
    for i in range(9):
        last = stream.answer(MUG, i / 30, 1, RECEIPT)
    assert last.stable == "mug"
    stream.look_at(Region(0, 0, 0.5, 0.5))
    assert stream.answer(MUG, 0.4, 1, RECEIPT).stable is None


def test_a_lesson_says_what_became_of_every_frame_and_is_bounded(stream):
    assert stream.lesson_look(FRAME, lambda _: b"") is None
    stream.teach(Teacher())
    told = [stream.lesson_look(FRAME, lambda _: b"jpeg") for _ in range(3 * MAX_KEPT)]
    assert [(t.accepted, t.kept, t.refused) for t in told[:3]] == [(True, 1, 0), (False, 1, 1), (True, 2, 1)]
    assert told[0].thumb == "data:image/jpeg;base64,anBlZw=="
    assert told[1].thumb, "the first refusal is shown"
    assert told[-1].thumb is None, "the same again is not"
    assert (told[-1].kept, told[-1].reason) == (MAX_KEPT, "enough")
    assert len(stream.end_lesson().kept) == MAX_KEPT
    with pytest.raises(NotNow, match="camera 0 must be teaching"):
        stream.end_lesson()
