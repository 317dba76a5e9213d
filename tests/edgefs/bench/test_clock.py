"""A sample knows whether its thread, or any other of the process, waited for a CPU."""

import threading
import time

import pytest

from edgefs.bench.clock import FLOORS, WAKE_UP_MS, Clock, Sample, figures


def task(folder, waited_ns):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "schedstat").write_text(f"1000 {waited_ns} 7\n")


def test_a_call_that_waited_for_nothing_is_uncontended(tmp_path):
    task(tmp_path / "1", 5_000_000)
    sample = Clock(tmp_path)(lambda: time.sleep(0.01))
    assert sample.ms >= 10
    assert sample.waited_ms == 0
    assert sample.uncontended


def test_waiting_of_any_thread_counts(tmp_path):
    for name in ("1", "2"):
        task(tmp_path / name, 0)
    clock = Clock(tmp_path)
    sample = clock(lambda: task(tmp_path / "2", 3_000_000))
    assert sample.waited_ms == pytest.approx(3)
    assert not sample.uncontended
    clock.close()


def test_starting_a_worker_thread_does_not_count_as_waiting():
    assert Sample(2.0, WAKE_UP_MS).uncontended
    assert not Sample(2.0, WAKE_UP_MS * 1.01).uncontended


def test_threads_that_end_or_a_kernel_that_does_not_tell_are_no_fault(tmp_path):
    task(tmp_path / "1", 0)
    clock = Clock(tmp_path)
    assert clock(lambda: (tmp_path / "1" / "schedstat").write_text("")).uncontended is True
    assert Clock(tmp_path / "absent")(lambda: None).uncontended


def test_new_threads_are_seen_after_a_refresh_and_handles_are_given_back():
    clock, gate = Clock(), threading.Event()
    n = len(clock._waits)
    thread = threading.Thread(target=gate.wait)
    thread.start()
    clock.refresh()
    assert len(clock._waits) >= n + 1
    gate.set()
    thread.join()
    clock.close()
    assert not clock._waits


@pytest.mark.parametrize(("q", "floor"), FLOORS.items())
def test_a_percentile_needs_its_sample(q, floor):
    samples = [Sample(1.0)] * floor
    assert figures(samples)[f"p{q}_ms"] == 1.0
    assert figures(samples[1:])[f"p{q}_ms"] is None


def test_all_and_uncontended_calls_are_summarised_and_the_maximum_is_never_hidden():
    found = figures([Sample(1.0)] * 90 + [Sample(50.0, waited_ms=45.0)] * 10)
    assert (found["samples"], found["uncontended_samples"]) == (100, 90)
    assert (found["max_ms"], found["uncontended_max_ms"]) == (50.0, 1.0)
    assert found["p90_ms"] > 1.0
    assert found["uncontended_p90_ms"] == 1.0


def test_no_samples_are_no_figures():
    found = figures([])
    assert found.pop("samples") == found.pop("uncontended_samples") == 0
    assert set(found.values()) == {None}
