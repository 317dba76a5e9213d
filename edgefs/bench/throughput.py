"""MLPerf's scenarios multi-stream and offline: many frames in one call, from many cameras or from a recording."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from edgefs.bench.clock import Clock, Sample, figures
from edgefs.bench.energy import EnergyCounter, open_counters
from edgefs.bench.subjects import Subject, taught
from runtime.bundle import Bundle
from runtime.engines import open_engine
from runtime.engines.base import cpus
from runtime.recognizer import Recognizer

STREAMS = 8  # frames of one multi-stream query, as in MLPerf


def multi_stream(subject: Subject, seconds: float) -> dict[str, Any]:
    """Latency of one query of STREAMS frames through `recognize_many`."""
    frames = subject.batch(STREAMS)
    subject.recognizer.recognize_many(frames)
    clock = Clock()
    samples: list[Sample] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not samples:
        samples.append(clock(lambda: subject.recognizer.recognize_many(frames)))
    clock.close()
    return {"streams": STREAMS, **figures(samples)}


def offline(
    bundle: Bundle, subject: Subject, batches: Sequence[int], seconds: float, device: str | None = None
) -> list[dict[str, Any]]:
    """Frames a second through `recognize_many`, for every batch size and for 1, 2, 4 … threads up to the CPUs."""
    rows, counters = [], open_counters()
    for threads in thread_counts():
        engine = open_engine(bundle, subject.engine, precision=subject.precision, threads=threads, device=device)
        with taught(bundle, engine) as recognizer:
            for batch in batches:
                frames = subject.batch(batch)
                recognizer.recognize_many(frames)
                rows.append({"threads": threads, "batch": batch, **_rate(recognizer, frames, seconds, counters)})
        engine.close()
    for counter in counters:
        counter.close()
    return rows


def thread_counts() -> list[int]:
    """1, 2, 4 … and the number of CPUs that this process may use."""
    return [*(2**i for i in range(cpus().bit_length()) if 2**i < cpus()), cpus()]


def _rate(
    recognizer: Recognizer, frames: list[Any], seconds: float, counters: Sequence[EnergyCounter]
) -> dict[str, Any]:
    used = {counter.name: counter.joules() for counter in counters}
    start, cpu_start, n = time.perf_counter(), time.process_time(), 0
    while (elapsed := time.perf_counter() - start) < seconds:
        recognizer.recognize_many(frames)
        n += len(frames)
    cpu_s = time.process_time() - cpu_start
    joules = {counter.name: round((counter.joules() - used[counter.name]) / n, 5) for counter in counters}
    return {
        "frames_per_s": round(n / elapsed, 2),
        "cpu_ms_per_frame": round(cpu_s / n * 1e3, 3),
        "joules_per_frame": joules or None,
    }
