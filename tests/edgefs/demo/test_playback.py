"""Playing a recording: everything is taught first, and every other frame is answered once."""

import functools

import numpy as np
import pytest

from edgefs.demo.playback import THUMBNAIL, Picture, Sample, _result, _spread, thumbnail
from edgefs.demo.spans import Span, span_at
from runtime.opencv import decode_image


def test_every_frame_outside_the_taught_spans_is_answered_once(demo_run):
    playback, _ = demo_run
    spans = playback.recording.truth
    assert [each.span for each in playback.taught] == playback.recording.taught
    assert len(playback.answers) == 9 * len(spans)
    assert all(span_at(spans, answer.time_s).subject == answer.subject for answer in playback.answers)
    assert {len(values) for values in playback.latencies_ms.values()} == {len(playback.answers)}


def test_pictures_of_mistakes_and_of_right_answers_are_kept(demo_run):
    playback, _ = demo_run
    wrong = sum(answer.result != "right" for answer in playback.answers)
    assert playback.mistakes.seen == wrong
    assert sum(sample.seen for sample in playback.samples.values()) == len(playback.answers) - wrong


@pytest.mark.parametrize(
    ("span", "label", "result"),
    [
        (None, "mug", ""),
        (Span(0, 1, "mug", "mug"), "mug", "right"),
        (Span(0, 1, "mug", "mug"), "cup", "wrong"),
        (Span(0, 1, "mug", "mug"), None, "unknown"),
        (Span(0, 1, "coins", None), None, "right"),
        (Span(0, 1, "coins", None), "mug", "wrong"),
    ],
)
def test_an_answer_is_compared_with_the_truth(span, label, result):
    assert _result(span, label) == result


def test_a_thumbnail_has_one_width():
    for width, height in ((640, 480), (100, 50)):
        jpeg = thumbnail(np.zeros((height, width, 3), np.uint8))
        assert decode_image(jpeg).shape == (round(height * THUMBNAIL / width), THUMBNAIL, 3)


def test_items_are_chosen_evenly():
    assert _spread(tuple(range(10)), 4) == [0, 3, 6, 9]
    assert _spread((1, 2), 4) == [1, 2]
    assert _spread((), 4) == []


def test_a_sample_keeps_everything_while_it_can_and_then_each_with_the_same_chance():
    kept = []
    for _ in range(300):
        sample = Sample(3)
        sample._rng = np.random.default_rng(len(kept))
        for i in range(6):
            sample.offer(functools.partial(Picture, b"", float(i), None))
        kept += [picture.time_s for picture in sample.in_order()]
    assert len(kept) == 900
    assert np.bincount(np.array(kept, int), minlength=6) == pytest.approx([150] * 6, abs=40)
