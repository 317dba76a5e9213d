"""A sample knows whether its thread, or any other of the process, waited for a CPU."""

import threading
import time

import pytest

from edgefs.bench.clock import WAKE_UP_MS, Clock, Sample


def task(folder, waited_ns):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "schedstat").write_text(f"1000 {waited_ns} 7\n")


def test_a_call_that_waited_for_nothing_is_undisturbed(tmp_path):
    task(tmp_path / "1", 5_000_000)
    sample = Clock(tmp_path)(lambda: time.sleep(0.01))
    assert sample.ms >= 10
    assert sample.waited_ms == 0
    assert sample.undisturbed


def test_waiting_of_any_thread_counts(tmp_path):
    for name in ("1", "2"):
        task(tmp_path / name, 0)
    clock = Clock(tmp_path)
    sample = clock(lambda: task(tmp_path / "2", 3_000_000))
    assert sample.waited_ms == pytest.approx(3)
    assert not sample.undisturbed
    clock.close()


def test_waking_a_worker_is_no_disturbance():
    assert Sample(2.0, WAKE_UP_MS).undisturbed
    assert not Sample(2.0, WAKE_UP_MS * 1.01).undisturbed


def test_threads_that_end_or_a_kernel_that_does_not_tell_are_no_fault(tmp_path):
    task(tmp_path / "1", 0)
    clock = Clock(tmp_path)
    assert clock(lambda: (tmp_path / "1" / "schedstat").write_text("")).undisturbed is True
    assert Clock(tmp_path / "absent")(lambda: None).undisturbed


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
