"""Frames through a camera worker in virtual time: what is recognised for long changes nothing of what was taught."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from runtime.app.core.camera_reader import CameraSource
from runtime.app.core.camera_worker import CameraWorker
from runtime.app.core.hub import Hub
from runtime.app.core.messages import Answer
from runtime.app.core.regions import CameraRegions
from runtime.app.core.session import CameraHealth, InvalidState
from runtime.app.visits.log import VisitLog
from runtime.bundle import Bundle
from runtime.camera import FakeCamera, Frame, open_camera, realtime
from runtime.models import default_bundle
from runtime.recognizer import Recognizer
from runtime.stream.recent_answers import Ring
from runtime.stream.strangers import Inbox
from runtime.teaching.coach import Coach

FPS = 30
CLIPS = {"cups": "sam2/02_cups.mp4", "bag": "pysot/bag.avi", "bottle": "intel/bottle-detection.mp4"}


@dataclass
class Shared:
    """What a service gives to its camera workers."""

    recognizer: Recognizer
    ring: Ring = field(default_factory=lambda: Ring(100))
    hub: Hub = field(default_factory=Hub)

    def __post_init__(self) -> None:
        self.inbox = Inbox(self.recognizer.bundle)
        self.visits = VisitLog(None, self.recognizer.bundle.fingerprint)


class Player:
    """Plays frames to a camera worker at FPS, in virtual time; its reader is never started."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.answers: list[Answer] = []
        source = CameraSource("fake", lambda: realtime(FakeCamera([])))
        self.worker = CameraWorker("0", source, CameraRegions(), Shared(recognizer), self.answers.append)
        self.index = 0

    def play(self, frames: list[np.ndarray]) -> list[Answer]:
        """Return the answer to each frame."""
        self.answers.clear()
        for image in frames:
            self.worker.look(Frame(image, self.index, self.index / FPS))
            self.index += 1
        return list(self.answers)


def evidence(recognizer: Recognizer) -> list[tuple]:
    """Everything that is known about the classes, their thresholds included."""
    return [(c.label, c.n_shots, c.n_negatives, c.threshold) for c in recognizer.classes()]


def soak(bundle: Bundle, taught: dict[str, list], played: dict[str, list], rounds: int) -> list[Counter]:
    """Teach each class once, then play all of them in turn; return how often each was right in every round."""
    with Recognizer(bundle, engine="onnxruntime", threads=1) as recognizer:
        for label, frames in taught.items():
            assert recognizer.enroll(label, frames).accepted
        before, operations = evidence(recognizer), len(recognizer.gallery.history())
        player, right = Player(recognizer), []
        for _ in range(rounds):
            counts: Counter = Counter()
            for label, frames in played.items():
                stable = [answer.stable for answer in player.play(frames)]
                counts[label] = stable.count(label)
                wrong = [name for name in stable[10:] if name not in (None, label)]  # the last scene fades
                assert len(wrong) <= 0.01 * len(stable), (label, Counter(wrong))
            right.append(counts)
        assert evidence(recognizer) == before, "recognising taught something"
        assert len(recognizer.gallery.history()) == operations
    return right


def test_three_things_taught_once_stay_right_and_their_thresholds_do_not_move(tiny, tiny_bundle):
    things = {"mug": 1, "cap": 2, "lid": 3}
    taught = {label: tiny.views(seed, 8) for label, seed in things.items()}
    played = {label: tiny.views(seed, 60, start=40) for label, seed in things.items()}
    # The first round differs, because no scene fades before it.
    right = soak(tiny_bundle, taught, played, rounds=10)
    assert all(counts == right[1] for counts in right[2:]), "nothing moves"
    assert all(count >= 50 for count in right[-1].values()), right[-1]


@pytest.mark.slow
def test_three_real_clips_stay_right_for_half_an_hour(shared_data):
    clips = {label: read(shared_data / "videos" / file) for label, file in CLIPS.items()}
    taught = {label: frames[::10] for label, frames in clips.items()}
    played = {label: frames[5::2] for label, frames in clips.items()}
    rounds = 1 + 30 * 60 * FPS // sum(map(len, played.values()))
    right = soak(default_bundle(), taught, played, rounds)
    assert all(counts == right[1] for counts in right[2:]), "nothing moves"
    assert all(count >= 0.8 * len(played[label]) for label, count in right[-1].items()), right[-1]


def read(path: Path) -> list[np.ndarray]:
    """The first 300 frames of a clip."""
    with open_camera(str(path)) as clip:
        return [frame.image for frame, _ in zip(clip, range(300), strict=False)]


def test_the_frames_of_a_scene_decide_together_and_another_region_starts_anew(tiny, tiny_bundle):
    with Recognizer(tiny_bundle, engine="onnxruntime", threads=1) as recognizer:
        recognizer.enroll("mug", tiny.views(1, 8))
        player = Player(recognizer)
        frames = tiny.views(1, 6, start=40)
        alone = [recognizer.recognize(frame).score for frame in frames]
        together = [answer.score for answer in player.play(frames)]
        assert together[0] == pytest.approx(alone[0])
        assert min(together[2:]) > min(alone)
        player.worker.set_region(None)
        assert player.play(frames[:1])[0].score == pytest.approx(alone[0])


def test_an_answer_that_was_refused_is_no_evidence(tiny, tiny_bundle):
    with Recognizer(tiny_bundle, engine="onnxruntime", threads=1) as recognizer:
        recognizer.enroll("mug", tiny.views(1, 8))
        before = evidence(recognizer)
        player = Player(recognizer)
        assert {answer.stable for answer in player.play(tiny.views(9, 200))} == {None}
        assert evidence(recognizer) == before
        assert len(recognizer.gallery.unknown_frames) == 0


def test_nothing_is_taught_from_a_camera_that_cannot_be_opened(tiny_bundle):
    with Recognizer(tiny_bundle, engine="onnxruntime", threads=1) as recognizer:
        player = Player(recognizer)
        player.worker.session.health = CameraHealth("missing", "no such device")
        with pytest.raises(InvalidState, match="cannot be opened: no such device"):
            player.worker.start_teaching(Coach(recognizer, "mug"))


def test_a_frame_during_which_the_model_was_swapped_is_left_out(tiny, tiny_bundle):
    with Recognizer(tiny_bundle, engine="onnxruntime", threads=1) as rec:
        rec.enroll("thing", tiny.views(1, 4))
        player = Player(rec)
        frames = tiny.views(1, 3, start=9)
        recognize, new = rec.recognize, tiny.bundle(seed=1, dim=48)

        def swapping(frame):
            answer = recognize(frame)
            if rec.bundle is tiny_bundle:
                rec.swap(new, engine="onnxruntime", threads=1)
            return answer

        rec.recognize = swapping
        assert [answer.label for answer in player.play(frames)] == ["thing", "thing"]
        ring = player.worker._shared.ring
        assert {len(kept.recognition.embedding) for kept in ring.answers()} == {48}
