"""Several cameras and one recognizer: no camera can delay or stop the others."""

import threading
import time

import numpy as np
import pytest

from runtime.camera.fake import FakeCamera
from runtime.engines.fake import FakeEngine
from runtime.recognizer import Recognizer
from runtime.stream.watch import Lost, Seen, watch


@pytest.fixture
def recognizer(tiny_bundle):
    with Recognizer(tiny_bundle, engine=FakeEngine(tiny_bundle.dim)) as opened:
        yield opened


def pictures(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 24, 32, 3), np.uint8)


def test_every_frame_of_every_camera_is_answered_in_order(recognizer):
    cameras = {name: FakeCamera(pictures(n, seed=n), live=False) for name, n in (("a", 5), ("b", 9), ("c", 0))}
    seen = list(watch(recognizer, cameras))
    for name, n in (("a", 5), ("b", 9), ("c", 0)):
        assert [answer.frame.index for answer in seen if answer.camera == name] == list(range(n))
    assert all(isinstance(answer, Seen) and answer.recognition.check == "empty gallery" for answer in seen)
    assert all(camera.state == "ended" for camera in cameras.values())


def test_answers_are_those_of_recognize(recognizer):
    frames = pictures(3)
    recognizer.enroll("thing", frames[:1])
    answers = {seen.frame.index: seen.recognition for seen in watch(recognizer, {"a": FakeCamera(frames, live=False)})}
    for i, frame in enumerate(frames):
        direct = recognizer.recognize(frame)
        assert (answers[i].label, answers[i].score, answers[i].check) == (direct.label, direct.score, direct.check)


def test_a_camera_that_fails_is_reported_once_and_the_others_continue(recognizer):
    broken, intact = FakeCamera(pictures(50), loop=True), FakeCamera(pictures(4), live=False)
    broken.fail("the cable was pulled")
    found = list(watch(recognizer, {"broken": broken, "intact": intact}))
    (lost,) = (answer for answer in found if isinstance(answer, Lost))
    assert lost.camera == "broken"
    assert "the cable was pulled" in str(lost.error)
    assert sum(isinstance(answer, Seen) for answer in found) == 4


def test_an_error_of_the_engine_is_raised_in_the_reader(recognizer):
    recognizer.engine.error = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError, match="a bug"):
        list(watch(recognizer, {"a": FakeCamera(pictures(3), live=False)}))


def test_closing_the_iterator_ends_every_thread_and_closes_the_cameras(recognizer):
    cameras = {name: FakeCamera(pictures(4), loop=True) for name in "abc"}
    answers = watch(recognizer, cameras)
    next(answers)
    answers.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and any(t.name.startswith("watch ") for t in threading.enumerate()):
        time.sleep(0.01)
    assert not [t.name for t in threading.enumerate() if t.name.startswith("watch ")]
    assert all(camera.state == "ended" for camera in cameras.values())


def test_a_stalled_camera_does_not_delay_another(recognizer):
    stalled, intact = FakeCamera(pictures(4)), FakeCamera(pictures(6), live=False)
    stalled.stall()
    answers = watch(recognizer, {"stalled": stalled, "intact": intact})
    assert [next(answers).frame.index for _ in range(6)] == list(range(6))
    answers.close()


def test_without_cameras_there_are_no_answers(recognizer):
    assert list(watch(recognizer, {})) == []
