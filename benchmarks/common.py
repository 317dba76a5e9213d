"""What every benchmark shares: the clock, percentiles honest about their sample, host facts, and where results go.

A result file is `benchmarks/results/<theme>_<machine>_<date>.json`: host, versions, command and figures, nothing else.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
# samples needed before a percentile is printed, for 99 % confidence (MLPerf inference rules)
FLOORS = {50: 10, 90: 64, 95: 130, 99: 662}
PACKAGES = (
    *("numpy", "onnxruntime", "openvino", "opencv-python-headless", "opencv-python"),
    *("torch", "torchvision", "onnx", "nncf", "tensorrt_rtx"),
)


def timed_ms(call: Callable[[], object]) -> tuple[float, bool]:
    """Run a call; returns its wall time and whether the thread ran undisturbed (never waited for a CPU)."""
    waited = _run_queue_wait_ns()
    start = time.perf_counter()
    call()
    elapsed = (time.perf_counter() - start) * 1e3
    return elapsed, _run_queue_wait_ns() == waited


def percentiles(samples: list[tuple[float, bool]]) -> dict[str, Any]:
    """p50 … p99 of all samples and of the undisturbed ones; None where the sample cannot support the percentile."""
    every = np.array([ms for ms, _ in samples])
    calm = np.array([ms for ms, undisturbed in samples if undisturbed])

    def points(values: np.ndarray, prefix: str) -> dict[str, float | None]:
        return {
            f"{prefix}p{q}_ms": round(float(np.percentile(values, q)), 4) if len(values) >= floor else None
            for q, floor in FLOORS.items()
        }

    undisturbed = {"undisturbed_samples": len(calm), **points(calm, "undisturbed_")}
    return {"samples": len(every), **points(every, ""), **undisturbed}


def host() -> dict[str, Any]:
    """The machine, the versions and the moment."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "machine": f"{_cpu_model()}, {os.cpu_count()} CPUs, {platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
        "commit": _commit(),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "load_average": os.getloadavg()[0],
        "command": " ".join(["python", "-m", f"benchmarks.{Path(sys.argv[0]).stem}", *map(_public, sys.argv[1:])]),
    }


def save(theme: str, figures: dict[str, Any]) -> Path:
    """Write a result file and return its path."""
    facts = host()
    machine = "-".join(_cpu_model().lower().split()[:3])
    path = RESULTS / f"{theme}_{machine}-{os.cpu_count()}cpu_{facts['date'][:10]}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"host": facts, **figures}, indent=1) + "\n")
    return path


def _public(argument: str) -> str:
    """An argument without the folders of this machine."""
    return Path(argument).name if argument.startswith("/") else argument


def _run_queue_wait_ns() -> int:
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1])
    except (OSError, IndexError):
        return 0


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    result = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=RESULTS.parent)
    return result.stdout.strip() or "unknown"
