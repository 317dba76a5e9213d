"""A percentile is stated only where the sample supports it, and nothing is clipped."""

import pytest

from edgefs.bench.clock import Sample
from edgefs.bench.percentiles import FLOORS, figures


@pytest.mark.parametrize(("q", "floor"), FLOORS.items())
def test_a_percentile_needs_its_sample(q, floor):
    samples = [Sample(1.0)] * floor
    assert figures(samples)[f"p{q}_ms"] == 1.0
    assert figures(samples[1:])[f"p{q}_ms"] is None


def test_raw_and_undisturbed_are_both_told_and_the_worst_is_never_hidden():
    found = figures([Sample(1.0)] * 90 + [Sample(50.0, waited_ms=45.0)] * 10)
    assert (found["samples"], found["undisturbed_samples"]) == (100, 90)
    assert (found["max_ms"], found["undisturbed_max_ms"]) == (50.0, 1.0)
    assert found["p90_ms"] > 1.0
    assert found["undisturbed_p90_ms"] == 1.0


def test_no_samples_are_no_figures():
    found = figures([])
    assert found.pop("samples") == found.pop("undisturbed_samples") == 0
    assert set(found.values()) == {None}
