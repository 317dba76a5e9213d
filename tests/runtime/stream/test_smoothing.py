"""A label appears after several agreeing frames, ignores single others, and disappears after enough of them."""

import numpy as np
import pytest

from runtime.errors import OptionError
from runtime.recognition import Recognition
from runtime.stream.smoothing import Smoother


def answer(label):
    certainty = "sure" if label else "unknown"
    return Recognition(label, certainty, label, 1.0, 0.5, None, 1.0, "accepted", (), {}, np.zeros(2, np.float32))


def shown(smoother, labels, start=0.0, step=0.04):
    return [smoother.update(answer(label), start + i * step).label for i, label in enumerate(labels)]


def test_a_label_appears_after_three_agreeing_frames():
    assert shown(Smoother(), ["mug"] * 4) == [None, None, "mug", "mug"]


def test_single_frames_neither_show_nor_remove_a_label():
    smoother = Smoother()
    assert shown(smoother, ["mug", None, "cup", None, "mug"]) == [None] * 5
    assert shown(smoother, ["mug"] * 3, 0.2)[-1] == "mug"
    assert shown(smoother, ["cup", None, "mug", None, "cup", "mug"], 0.4) == ["mug"] * 6


def test_a_label_disappears_after_the_given_number_of_frames_without_it():
    smoother = Smoother(vanish=4)
    shown(smoother, ["mug"] * 5)
    assert shown(smoother, [None] * 5, 0.2) == ["mug", "mug", "mug", None, None]


def test_another_label_replaces_it_as_soon_as_enough_frames_agree():
    smoother = Smoother()
    shown(smoother, ["mug"] * 5)
    assert shown(smoother, ["cup"] * 4, 0.2) == ["mug", "mug", "cup", "cup"]


def test_since_is_the_time_of_the_change_and_a_pause_starts_again():
    smoother = Smoother(gap_s=1.0)
    assert smoother.update(answer(None), 10.0).since_s == 10.0
    shown(smoother, ["mug"] * 3, 10.1)
    last = smoother.update(answer("mug"), 10.3)
    assert (last.label, last.since_s, last.agreeing) == ("mug", pytest.approx(10.18), 4)
    after = smoother.update(answer("mug"), 20.0)
    assert (after.label, after.since_s) == (None, 20.0)


@pytest.mark.parametrize("options", [{"appear": 0}, {"appear": 6}, {"vanish": 0}, {"gap_s": 0}])
def test_invalid_counts_are_refused(options):
    with pytest.raises(OptionError, match="1 <= appear <= window"):
        Smoother(**options)
