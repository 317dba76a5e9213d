"""Plots are SVG with one line, dot or histogram for each series."""

import re

import pytest

from edgefs.reports.plots import _round_step, distributions, lines


def test_a_series_is_a_line_with_a_dot_for_each_point_and_a_label():
    svg = lines({"a<b": [(1, 2), (2, 3)], "empty": []}, "threads", "frames")
    assert svg.count("<polyline") == 1
    assert svg.count("<circle") == 2
    assert "a&lt;b" in svg
    assert "<title>frames against threads</title>" in svg


def test_dots_have_no_lines_and_labels_do_not_cover_each_other():
    svg = lines({"a": [(1, 2)], "b": [(1, 2)]}, "x", "y", dots=True)
    assert "<polyline" not in svg
    places = [float(y) for y in re.findall(r'y="([\d.]+)" text-anchor="start"', svg)]
    assert abs(places[0] - places[1]) >= 16


def test_a_logarithmic_axis_has_powers_of_ten():
    svg = lines({"a": [(10, 0.1), (1000, 2)]}, "x", "y", log=True)
    assert [tick in svg for tick in (">10<", ">100<", ">1,000<", ">0.1<")] == [True] * 4


def test_a_histogram_is_drawn_for_each_sample():
    svg = distributions({"engine": {"ours": [1.0, 1.1, 1.2], "bare": [1.0, 1.05]}}, "ms")
    assert (svg.count("plot-area"), svg.count("plot-line")) == (1, 1)
    assert "<title>bare</title>" in svg


@pytest.mark.parametrize(("least", "step"), [(0.3, 0.5), (1, 1), (1.1, 2), (6, 10), (70, 100)])
def test_steps_of_an_axis_are_round(least, step):
    assert _round_step(least) == pytest.approx(step)
