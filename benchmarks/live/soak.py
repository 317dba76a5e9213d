"""Over time: memory, threads and handles of the app while people watch."""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.live.process import app
from benchmarks.live.serving import watch

WARM_UP_S = 240.0  # the answers that can be explained fill up in two minutes, and SQLite's cache after that


def slope_per_hour(times_s: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Return the median slope of all pairs of samples (Theil 1950, Sen 1968), which a single step does not change."""
    first, second = np.triu_indices(len(times_s), 1)
    return float(np.median((values[second] - values[first]) / (times_s[second] - times_s[first])) * 3600)


def soak(args: argparse.Namespace) -> dict[str, Any]:
    """The app with some viewers for a long time; the slope is that after the warm-up."""
    samples: list[tuple[float, float, int, int]] = []
    with app() as (process, url):
        watching = watch(url, args.viewers)
        until_s = time.monotonic() + args.minutes * 60
        while time.monotonic() < until_s:
            time.sleep(min(5.0, args.minutes * 6))
            with process.oneshot():
                memory, threads = process.memory_info().rss / 1e6, process.num_threads()
            samples.append((time.monotonic(), memory, threads, process.num_fds()))
            if len(samples) % 12 == 0:
                print(f"{len(samples) * 5 // 60} min: {memory:.1f} MB, {threads} threads, {samples[-1][3]} handles")
        watching()
    warm_up_s = min(WARM_UP_S, args.minutes * 30)
    warm = np.array([sample for sample in samples if sample[0] >= samples[0][0] + warm_up_s])
    return {
        "minutes": args.minutes,
        "viewers": args.viewers,
        "rss_mb": {"warm": round(float(warm[0, 1]), 1), "end": round(float(warm[-1, 1]), 1)},
        "warm_up_minutes": round(warm_up_s / 60, 1),
        "rss_slope_mb_per_hour": round(slope_per_hour(warm[:, 0], warm[:, 1]), 2),
        "rss_mb_each_minute": [round(sample[1], 1) for sample in samples[::12]],
        "threads": [int(warm[:, 2].min()), int(warm[:, 2].max())],
        "handles": [int(warm[:, 3].min()), int(warm[:, 3].max())],
    }
