"""A name appears after several agreeing frames, stays through a flicker, and goes when it is really gone."""

import numpy as np
import pytest

from runtime.errors import OptionError
from runtime.recognition import Recognition
from runtime.stream.smoothing import Smoother


def says(label):
    return Recognition(label, label, 1.0, 0.5, None, 1.0, "accepted", (), {}, np.zeros(2, np.float32))


def shown(smoother, labels, start=0.0, step=0.04):
    return [smoother.update(says(label), start + i * step).label for i, label in enumerate(labels)]


def test_three_agreeing_frames_make_a_name():
    assert shown(Smoother(), ["mug"] * 4) == [None, None, "mug", "mug"]


def test_a_flicker_neither_brings_a_name_nor_takes_it_away():
    smoother = Smoother()
    assert shown(smoother, ["mug", None, "cup", None, "mug"]) == [None] * 5
    assert shown(smoother, ["mug"] * 3, 0.2)[-1] == "mug"
    assert shown(smoother, ["cup", None, "mug", None, "cup", "mug"], 0.4) == ["mug"] * 6


def test_a_name_goes_after_as_many_frames_without_it_as_asked():
    smoother = Smoother(vanish=4)
    shown(smoother, ["mug"] * 5)
    assert shown(smoother, [None] * 5, 0.2) == ["mug", "mug", "mug", None, None]


def test_another_name_takes_over_at_once_when_it_has_its_frames():
    smoother = Smoother()
    shown(smoother, ["mug"] * 5)
    assert shown(smoother, ["cup"] * 4, 0.2) == ["mug", "mug", "cup", "cup"]


def test_since_says_when_it_changed_and_a_silence_starts_afresh():
    smoother = Smoother(gap_s=1.0)
    assert smoother.update(says(None), 10.0).since_s == 10.0
    shown(smoother, ["mug"] * 3, 10.1)
    last = smoother.update(says("mug"), 10.3)
    assert (last.label, last.since_s, last.agreeing) == ("mug", pytest.approx(10.18), 4)
    after = smoother.update(says("mug"), 20.0)
    assert (after.label, after.since_s) == (None, 20.0)


@pytest.mark.parametrize("options", [{"appear": 0}, {"appear": 6}, {"vanish": 0}, {"gap_s": 0}])
def test_counts_that_cannot_be_met_are_refused(options):
    with pytest.raises(OptionError, match="1 <= appear <= window"):
        Smoother(**options)
