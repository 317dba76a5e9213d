"""The bundle's table, read at the rate that is asked for."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import OptionError
from runtime.matching.calibration import Prior

TABLE = {"genuine": {"1": [0, 1]}, "impostor": {"1": [0, 0.55, 0.6], "5": [0.1, 0.75, 0.8]}}
HALF = Prior(TABLE, 0.5)


def test_between_two_rows_of_the_table_the_threshold_is_interpolated_over_the_logarithm():
    thresholds = [HALF.threshold(n) for n in (0, 1, math.sqrt(5), 5, 400)]
    assert thresholds == pytest.approx([0.55, 0.55, 0.65, 0.75, 0.75])
    only_five = Prior({"impostor": {"5": [0, 1]}}, 0.25)
    assert only_five.threshold(1) == 0.75
    twelve_sorts_after_five = Prior({"impostor": {"12": [0.9, 0.9], "5": [0.5, 0.5]}})
    assert [twelve_sorts_after_five.threshold(n) for n in (5, 12)] == [0.5, 0.9]


def test_many_frames_of_one_view_count_as_one_view():
    prior = Prior({**TABLE, "within_variance": 0.5}, 0.5)
    assert prior.views(30, 0.0) == 1
    assert prior.views(30, 0.25) == pytest.approx(2)
    assert prior.views(30, 0.4) == pytest.approx(5)
    assert prior.views(3, 0.4) == 3  # never more than there are
    assert prior.views(3, 0.9) == 3  # more varied than any base class


rates = st.floats(0, 1)


@settings(max_examples=100, deadline=None)
@given(rates, rates, st.lists(st.floats(-1, 1), min_size=2, max_size=20).map(sorted))
def test_fewer_strangers_may_pass_the_higher_the_threshold(one, other, scores):
    table = {"impostor": {"1": scores}}
    low, high = (Prior(table, rate).threshold(1) for rate in (max(one, other), min(one, other)))
    assert scores[0] - 1e-9 <= low <= high + 1e-9 <= scores[-1] + 1e-8


@pytest.mark.parametrize("rate", [-0.1, 1.5, math.nan, math.inf])
def test_a_rate_that_is_no_share_is_refused(rate):
    with pytest.raises(OptionError, match=r"stranger_rate must be in 0\.\.1, or None"):
        Prior(TABLE, rate)
