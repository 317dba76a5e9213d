"""The coach keeps the frames that are worth storing and stores them as one burst."""

import numpy as np
import pytest

from runtime import Recognizer
from runtime.engines.fake import FakeEngine
from runtime.errors import InvalidLabel, OptionError
from runtime.teaching.coach import GOOD_VIEWS, Coach


@pytest.fixture
def recognizer(tiny_bundle):
    with Recognizer(tiny_bundle, engine=FakeEngine(tiny_bundle.dim)) as opened:
        yield opened


def test_frames_are_stored_only_by_enroll_and_then_the_coach_starts_again(recognizer, tiny):
    coach = Coach(recognizer)
    first = coach.look(tiny.pattern(0))
    assert (first.accepted, first.reason, first.line) == (True, None, f"{GOOD_VIEWS - 1} more views")
    assert coach.look(tiny.pattern(0)).reason == "same view"
    assert (len(coach.kept), coach.refused) == (1, 1)
    assert not recognizer.labels
    with pytest.raises(InvalidLabel):
        coach.enroll()
    assert len(coach.enroll("mug", source="test").accepted) == 1
    assert [record.source for record in recognizer.gallery.records("mug")] == ["test"]
    assert coach.kept == []


def test_a_view_that_the_class_has_already_is_refused(recognizer, tiny):
    recognizer.enroll("mug", [tiny.pattern(0)])
    assert Coach(recognizer, " mug ").look(tiny.pattern(0)).reason == "same view"
    assert Coach(recognizer, "cup").look(tiny.pattern(0)).line.startswith("looks like mug")


def test_a_label_that_is_not_allowed_is_refused_before_any_frame(recognizer):
    with pytest.raises(InvalidLabel, match="must not be 'unknown'"):
        Coach(recognizer, "unknown")


def test_what_was_shown_is_cut_to_a_part_of_its_frames(recognizer, tiny):
    coach, frame = Coach(recognizer, "mug"), np.hstack([tiny.pattern(0), tiny.pattern(1)])
    coach.look(frame)
    before = coach.kept[0].embedding
    coach.cut(lambda image: image[:, : image.shape[1] // 2])
    (after,) = coach.kept
    alone = recognizer.embed([tiny.pattern(0)])[0]
    assert alone @ after.embedding > alone @ before
    recognizer.gallery.set_keep_crops(False)
    coach.look(tiny.pattern(2))
    with pytest.raises(OptionError, match="must keep crops"):
        coach.cut(lambda image: image)
    assert len(coach.kept) == 2
