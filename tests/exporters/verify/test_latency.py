"""Latencies are measured side by side, and a gain must be clear."""

from exporters.verify.latency import Latency, interleaved


def test_a_better_median_alone_is_not_enough():
    assert Latency(1.0, 0.5).beats(Latency(2.0, 1.0))
    assert not Latency(1.0, 1.0).beats(Latency(2.0, 1.0))
    assert not Latency(2.0, 0.5).beats(Latency(2.0, 1.0))


def test_calls_are_timed_in_turn():
    seen = []
    times = interleaved([lambda: seen.append("a"), lambda: seen.append("b")])
    assert len(times) == 2
    assert seen.count("a") == seen.count("b")
    assert 5 < "".join(seen).count("ab") < len(seen) // 2  # in random order
