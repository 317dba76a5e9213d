"""What a person says about visits changes the gallery."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runtime.app.core.reviewing import review
from runtime.app.core.session import InvalidState
from runtime.app.visits.log import VisitLog
from runtime.app.visits.tracker import OpenVisit, View
from runtime.opencv import encode_jpeg
from runtime.recognizer import Recognizer


@pytest.fixture
def shop(tiny, tiny_bundle):
    """A recognizer that knows a mug, and visits of it (1), of an unknown thing (2) and of another model (3)."""
    with Recognizer(tiny_bundle, engine="onnxruntime", threads=1) as recognizer:
        recognizer.enroll("mug", tiny.views(0, 4))
        log = VisitLog(None, tiny_bundle.fingerprint)
        for label, thing, model in (("mug", 0, None), (None, 1, None), ("mug", 2, "another model")):
            frames = tiny.views(thing, 3, start=40)
            views = [View(e, encode_jpeg(f)) for e, f in zip(recognizer.embed(frames), frames, strict=True)]
            if model:
                views = [replace(view, embedding=0 * view.embedding) for view in views]
            visit = OpenVisit("shop", label, 0.0, 1e12, "sure" if label else "unknown", "mug", 0.8, 9, views)
            log.store.write([visit], model or tiny_bundle.fingerprint)
        yield recognizer, log
        log.close()


def test_an_unknown_visit_that_is_named_is_known_from_then_on(shop, tiny):
    recognizer, log = shop
    (operation,) = review(recognizer, log, [2], "is", "cap").operations
    assert recognizer.recognize(tiny.views(1, 1, start=41)[0]).candidate == "cap"
    assert recognizer.gallery.history()[0].id == operation
    assert log.store.visits()[1].review == "is"


def test_several_visits_are_named_in_one_change(shop):
    recognizer, log = shop
    assert len(review(recognizer, log, [1, 2], "is", "cap").operations) == 1


def test_the_visit_of_another_model_is_embedded_again(shop, tiny_bundle):
    recognizer, log = shop
    assert review(recognizer, log, [3], "not", None).operations
    (negative,) = recognizer.gallery.classes["mug"].negatives
    assert abs(float((negative**2).sum()) - 1) < 1e-3


def test_a_stranger_that_got_a_name_is_a_negative_example_and_a_background_frame(shop):
    recognizer, log = shop
    review(recognizer, log, [1], "stranger", None)
    assert len(recognizer.gallery.classes["mug"].negatives) == 1
    assert len(recognizer.gallery.unknown_frames) == 3
    assert review(recognizer, log, [2], "stranger", None).operations == ()


@pytest.mark.parametrize("word", ["yes", "not", "is"])
def test_what_names_no_class_is_refused_and_nothing_changes(shop, word):
    recognizer, log = shop
    with pytest.raises(InvalidState, match=r"must name or suggest a class|must say what it is"):
        review(recognizer, log, [1, 2], word, None)
    assert len(recognizer.gallery.history()) == 1
