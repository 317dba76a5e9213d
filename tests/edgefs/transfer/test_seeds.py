import pytest

pytestmark = pytest.mark.torch


def test_the_interval_over_seeds_is_students():
    from edgefs.transfer.seeds import mean_interval

    assert mean_interval([]) == (None, None)
    assert mean_interval([3.0]) == (3.0, None)
    mean, half = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (mean, half) == (3.0, pytest.approx(2.776 * 1.5811 / 5**0.5, abs=1e-3))
