"""A planted change of ten percent is reported, two runs of the same build are not, and noise is called noise.

The samples are simulated as a shared machine gives them: drifts, busy stretches, missing blocks. benchmarks/compare.py
does the same with real runs.
"""

import numpy as np
import pytest

from edgefs.bench.compare import MIN_BLOCKS, compare, conclusion, interval
from edgefs.errors import BenchError


def blocks(rng, slower=1.0, n=60, noise=0.02):
    """Fastest calls of n blocks, ms: 2 ms, noise upwards, two busy stretches, a fifth without an uncontended call."""
    ms = 2.0 * (1 + np.abs(rng.normal(0, noise, n)))
    for start in rng.integers(0, n, 2):
        ms[start : start + n // 8] *= 1.3
    return [None if rng.random() < 0.2 else round(float(value) * slower, 4) for value in ms]


def result(engine_ms, recognize_ms=None, library_ms=None, contended=0.1, **changes):
    row = {"engine": "onnxruntime", "precision": "fp32", "samples": 1000}
    row["uncontended_samples"] = round(1000 * (1 - contended))
    row["blocks"] = {"engine_ms": engine_ms, "recognize_ms": engine_ms if recognize_ms is None else recognize_ms}
    if library_ms is not None:
        row["blocks"]["library_ms"] = library_ms
    return {"machine": {"machine": "a"}, "threads": 1, "results": [row], **changes}


def conclusions(old, new):
    """Of the engine and of recognize; the quotient of the two is one in these simulated runs."""
    return [change.result for change in compare(old, new)[:2]]


@pytest.mark.parametrize("seed", range(30))
def test_two_runs_of_the_same_build_are_no_change(seed):
    rng = np.random.default_rng(seed)
    assert set(conclusions(result(blocks(rng)), result(blocks(rng)))) == {"no change"}


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize(("factor", "expected"), [(1.1, "slower"), (0.9, "faster")])
def test_ten_percent_is_a_change(seed, factor, expected):
    rng = np.random.default_rng(seed)
    assert set(conclusions(result(blocks(rng)), result(blocks(rng, factor)))) == {expected}


def test_only_what_changed_is_called_changed():
    rng = np.random.default_rng(0)
    old, new = result(blocks(rng), blocks(rng)), result(blocks(rng), blocks(rng, 1.15))
    engine, recognize, _ = compare(old, new)
    assert (engine.metric, engine.result) == ("engine", "no change")
    assert (recognize.metric, recognize.result) == ("recognize", "slower")


def test_on_a_machine_too_busy_for_times_a_slower_part_shows_in_the_quotients():
    rng = np.random.default_rng(0)
    busy, lighter = (2.0 * (1 + rng.uniform(0, most, 60)) for most in (0.3, 0.2))

    def run(library, engine=1.0, recognize=1.0):
        noise = 1 + 0.01 * rng.standard_normal((2, 60))
        engine_ms = library * engine * noise[0]
        return result(list(engine_ms), list(engine_ms * 1.15 * recognize * noise[1]), list(library), contended=0.8)

    def said(new):
        return {change.metric: change.result for change in compare(run(busy), new)}

    times = dict.fromkeys(("engine", "recognize"), "too noisy to tell")
    same, slower = "no change", "slower"
    assert said(run(lighter)) == times | {"engine over library": same, "recognize over engine": same}
    assert said(run(lighter, engine=1.1)) == times | {"engine over library": slower, "recognize over engine": same}
    assert said(run(lighter, recognize=1.1)) == times | {"engine over library": same, "recognize over engine": slower}


def test_times_that_moved_with_the_library_are_no_change_unless_it_was_given_something_else():
    old, new = result([2.0] * 40, library_ms=[1.9] * 40), result([2.24] * 40, library_ms=[2.13] * 40)
    assert {change.result for change in compare(old, new)} == {"too noisy to tell", "no change"}
    for change in ({"bundle": "another"}, {"results": [{**new["results"][0], "version": "another"}]}):
        assert [each.result for each in compare(old, {**new, **change})][:2] == ["slower", "slower"]


def test_a_result_without_the_library_is_compared_by_what_it_has():
    old, new = result([2.0] * 40), result([2.0] * 40, library_ms=[1.9] * 40)
    assert [change.metric for change in compare(old, new)] == ["engine", "recognize", "recognize over engine"]


def test_the_busier_the_machine_the_more_is_allowed_for():
    calm, busy = (compare(result([2.0] * 40), result([2.16] * 40, contended=share))[0] for share in (0.0, 0.9))
    assert (calm.result, busy.result) == ("slower", "too noisy to tell")
    assert busy.allowance > calm.allowance


def test_too_few_blocks_or_too_much_noise_is_said_and_not_guessed():
    rng = np.random.default_rng(0)
    few = result([2.0] * (MIN_BLOCKS - 1) + [None] * 50)
    change = compare(few, result(blocks(rng)))[0]
    assert (change.ratio, change.result) == (None, "too noisy to tell")
    wild = result(list(rng.uniform(2, 8, 12)))
    assert conclusions(wild, result(list(rng.uniform(2, 8, 12))))[0] == "too noisy to tell"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (1.06, 1.14, "slower"),
        (0.85, 0.93, "faster"),
        (0.99, 1.02, "no change"),
        (1.01, 1.04, "no change"),
        (1.01, 1.08, "too noisy to tell"),
        (0.80, 1.10, "too noisy to tell"),
        (None, None, "too noisy to tell"),
    ],
)
def test_the_result_follows_from_the_interval(low, high, said):
    assert conclusion(low, high, allowance=0.05) == said


def test_the_interval_holds_the_true_quotient_and_narrows_with_more_blocks():
    rng = np.random.default_rng(1)
    widths = []
    for n in (20, 200):
        before, after = (np.array([b for b in blocks(rng, factor, n) if b]) for factor in (1.0, 1.1))
        low, high = interval(before, after, 0.25)
        assert low < 1.1 < high
        widths.append(high - low)
    assert widths[1] < widths[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"machine": {"machine": "b"}}, "results of one machine, but the old one is of b"),
        ({"threads": 2}, "the same threads, but the old result has 2"),
        ({"results": [{"engine": "onnxruntime", "precision": "fp32"}]}, "a whole result .* KeyError"),
        ({"results": []}, "engine and precision that both results have"),
    ],
)
def test_what_cannot_be_compared_is_refused(changes, message):
    rng = np.random.default_rng(0)
    with pytest.raises(BenchError, match=message):
        compare(result(blocks(rng), **changes), result(blocks(rng)))
