"""Over time: memory, threads and handles of the app with a viewer."""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from benchmarks.live.process import app
from benchmarks.live.serving import watch


def soak(args: argparse.Namespace) -> dict[str, Any]:
    """The app with a viewer for a long time; the slope is fitted after a fifth of it."""
    samples: list[tuple[float, float, int, int]] = []
    with app() as (process, url):
        watching = watch(url, 1)
        until_s = time.monotonic() + args.minutes * 60
        while time.monotonic() < until_s:
            time.sleep(min(5.0, args.minutes * 6))
            with process.oneshot():
                memory, threads = process.memory_info().rss / 1e6, process.num_threads()
            samples.append((time.monotonic(), memory, threads, process.num_fds()))
            if len(samples) % 12 == 0:
                print(f"{len(samples) * 5 // 60} min: {memory:.1f} MB, {threads} threads, {samples[-1][3]} handles")
        watching()
    warm = np.array(samples[len(samples) // 5 :])
    slope = np.polyfit((warm[:, 0] - warm[0, 0]) / 3600, warm[:, 1], 1)[0]
    return {
        "minutes": args.minutes,
        "rss_mb": {"warm": round(float(warm[0, 1]), 1), "end": round(float(warm[-1, 1]), 1)},
        "rss_slope_mb_per_hour": round(float(slope), 2),
        "threads": [int(warm[:, 2].min()), int(warm[:, 2].max())],
        "handles": [int(warm[:, 3].min()), int(warm[:, 3].max())],
    }
