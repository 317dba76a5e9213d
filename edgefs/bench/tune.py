"""Measure which engine and how many threads are fastest for one live frame, and store it for `engine="auto"`.

All settings are called in turn, so that a busy moment affects them alike. More threads must be clearly faster, because
they take CPU time from the camera.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from edgefs.bench.clock import Clock, Sample, figures, typical
from edgefs.bench.throughput import thread_counts
from edgefs.errors import BenchError
from runtime.bundle import Bundle
from runtime.engines import auto_engines, open_engine
from runtime.engines.base import Engine
from runtime.engines.choices import Choice, remember
from runtime.errors import EngineError

MUST_PAY = 0.9  # more threads must take at most this share of the time with fewer threads
PRECISION = "fp32"  # the default precision of "auto"
SECONDS = 2.0  # for each setting


@dataclass(frozen=True)
class Setting:
    """An engine with a number of threads, and the median time of one frame (uncontended calls where enough)."""

    engine: str
    version: str
    threads: int
    p50_ms: float


@dataclass(frozen=True)
class Tuned:
    """All settings, the best of them, and whether it could be stored."""

    settings: tuple[Setting, ...]
    best: Setting
    kept: bool


def tune(bundle: Bundle) -> Tuned:
    """Measure every engine and thread count, and store the best.

    Raises:
        BenchError: No engine opens the bundle.
    """
    settings = list(measure(bundle, SECONDS))
    if not settings:
        raise BenchError(f"tuning needs an engine that opens {bundle.name}, but none does; see what doctor lists")
    best = choose(settings)
    reason = f"fastest by doctor --tune: {best.p50_ms:.2f} ms with {best.threads} threads"
    kept = remember(bundle, PRECISION, Choice(best.engine, best.version, best.threads, reason))
    return Tuned(tuple(settings), best, kept)


def choose(settings: list[Setting]) -> Setting:
    """The fastest setting; one with more threads only where it is faster by MUST_PAY."""
    best = min(settings, key=lambda setting: (setting.threads, setting.p50_ms))
    for setting in sorted(settings, key=lambda setting: setting.threads):
        limit = MUST_PAY if setting.threads > best.threads else 1.0
        if setting.p50_ms < limit * best.p50_ms:
            best = setting
    return best


def measure(bundle: Bundle, seconds: float) -> Iterator[Setting]:
    """Yield the figures of every setting that opens, measured for so many seconds each."""
    inputs = bundle.golden()[0][:1]
    clock = Clock()
    with ExitStack() as opened:
        opened.callback(clock.close)
        samples: list[tuple[Engine, list[Sample]]] = []
        for name in auto_engines():
            for threads in thread_counts():
                try:
                    engine = open_engine(bundle, name, precision=PRECISION, threads=threads)
                except EngineError:  # not installed, or no plan for this machine: doctor lists which
                    break
                opened.callback(engine.close)
                samples.append((engine, []))
        end = time.perf_counter() + seconds * len(samples)
        while samples and time.perf_counter() < end:
            for engine, found in samples:
                engine.embed(inputs)
                clock.refresh()
                found += [clock(lambda: engine.embed(inputs)) for _ in range(8)]  # noqa: B023 - called at once
        for engine, found in samples:
            p50_ms = typical(figures(found)) or found[0].ms
            yield Setting(engine.info.name, engine.info.version, engine.info.threads, p50_ms)
