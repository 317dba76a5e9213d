"""Throughput is measured for every batch and every number of threads."""

from edgefs.bench import throughput
from edgefs.bench.throughput import STREAMS, thread_counts


def test_every_batch_and_thread_count_has_a_rate(report):
    (row,) = report["results"]
    pairs = {(rate["threads"], rate["batch"]) for rate in row["offline"]}
    assert pairs == {(threads, batch) for threads in thread_counts() for batch in (1, 4)}
    assert all(rate["frames_per_s"] > 0 for rate in row["offline"])


def test_a_multi_stream_query_has_eight_frames(report):
    found = report["results"][0]["multi_stream"]
    assert (found["streams"], STREAMS) == (8, 8)
    assert found["samples"] > 0


def test_thread_counts_are_powers_of_two_and_the_number_of_cpus(monkeypatch):
    for cpus, expected in ((1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])):
        monkeypatch.setattr(throughput, "cpus", lambda cpus=cpus: cpus)
        assert thread_counts() == expected
