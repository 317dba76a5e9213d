"""Latencies are measured side by side, and a gain must be clear."""

import numpy as np
import pytest

from exporters.verify.latency import CLOSE, FASTER, SLOWER, Latency, interleaved


def times(scale: float, moods: np.ndarray, seed: int) -> Latency:
    return Latency(tuple(scale * moods * np.random.default_rng(seed).uniform(0.97, 1.03, len(moods))))


@pytest.mark.parametrize(
    ("factor", "result"), [(0.8, FASTER), (0.95, FASTER), (1.0, CLOSE), (1.01, CLOSE), (1.25, SLOWER)]
)
@pytest.mark.parametrize("seed", range(5))
def test_a_busy_machine_does_not_change_the_result(factor, result, seed):
    """Rounds in which the machine is busy take three times as long, for both."""
    moods = 1 + 2 * (np.random.default_rng(seed).random(100) < 0.3)
    speed = times(factor, moods, seed + 10).speed_of(times(1.0, moods, seed + 20))
    assert speed.result == result
    assert speed.low <= speed.ratio <= speed.high
    assert speed.ratio == pytest.approx(1 / factor, rel=0.03)


def test_few_rounds_with_a_wide_spread_are_too_close_to_tell():
    mine = Latency((1.0, 3.0, 1.0, 3.0, 1.0, 3.0, 1.0))
    assert mine.speed_of(Latency((2.0,) * 7)).result == CLOSE
    assert Latency((1.0,) * 7).speed_of(Latency((2.0,) * 7)).result == FASTER


def test_calls_are_timed_in_turn():
    seen = []
    times = interleaved([lambda: seen.append("a"), lambda: seen.append("b")])
    assert len(times) == 2
    assert len(times[0].rounds_ms) == len(times[1].rounds_ms)
    assert seen.count("a") == seen.count("b")
    assert 5 < "".join(seen).count("ab") < len(seen) // 2  # in random order
