"""Tell a change of the code from the noise of the machine, between two results of `edgefs bench`.

Other load on a machine can only make a call slower. So each block of calls is represented by its fastest uncontended
call, and a run by the lower quartile of its blocks (for quotients: the median). The ratio of two runs gets an interval
by resampling stretches of consecutive blocks, because a busy moment lasts longer than a block (circular block
bootstrap, Politis and Romano 1992).

The interval does not cover what differs between two runs of the same build: clock rates, other programs in the caches.
A change must therefore also exceed an allowance. Quotients within a run (engine over its library, recognize over
engine) need the smallest one, since both halves are from the same moments; they show what our code costs. The plain
times also show another model or another library version. Where model and version are the same, a change of the
library's own time is a change of the machine and is added to the allowance of the plain times.
benchmarks/compare.py measures how often these rules are right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefs.errors import BenchError

QUARTILE, MEDIAN = 0.25, 0.5
BUSY_DRIFT = 0.10  # added to the allowance of plain times, times the share of contended calls
NOTICED = 0.10  # "no change" rules out a change of this size
MIN_BLOCKS = 10
CONFIDENCE = 0.99
RESAMPLES = 2000
OVER = " over "
LIBRARY = "library"
NOISY = "too noisy to tell"
# The largest difference between two runs of one build: benchmarks/LOG.md, 2026-11-24.
DRIFT = {"engine": 0.05, "recognize": 0.05, "engine over library": 0.03, "recognize over engine": 0.05}


@dataclass(frozen=True)
class Change:
    """One metric of one engine and precision, new over old.

    Attributes:
        metric: A key of DRIFT. Metrics that one of the results lacks are left out.
        ratio: New time over old time, with its interval low..high; None where there are too few uncontended blocks.
        allowance: The share by which two runs of the same build may differ, in addition to the interval.
        result: "slower", "faster", "no change", or NOISY.
    """

    engine: str
    precision: str
    metric: str
    ratio: float | None
    low: float | None
    high: float | None
    allowance: float
    result: str


def check_comparable(old: Mapping[str, Any], machine: str, threads: int | None, device: str | None) -> None:
    """Raise BenchError unless a result of this machine, threads and device can be compared with `old`."""
    try:
        there, had = old["machine"]["machine"], old["threads"]
        for row in old["results"]:
            _contended(row)
            for metric in ("engine", "recognize"):
                _blocks(row, metric)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise BenchError(
            f"--compare needs a whole result of edgefs bench --json, but {error!r}; measure again"
        ) from error
    if there != machine:
        raise BenchError(
            f"--compare needs two results of one machine, but the old one is of {there} and this is {machine}; "
            "measure both here"
        )
    if had != threads:
        raise BenchError(
            f"--compare needs the same threads, but the old result has {had or 'the default'} and this has "
            f"{threads or 'the default'}; add --threads"
        )
    if (before := old.get("device")) != device:
        raise BenchError(
            f"--compare needs the same device, but the old result has {before or 'the default'} and this has "
            f"{device or 'the default'}; add --device"
        )


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Compare every engine and precision that both results have.

    Raises:
        BenchError: The results cannot be compared.
    """
    check_comparable(old, new["machine"]["machine"], new["threads"], new.get("device"))
    before = {(row["engine"], row["precision"]): row for row in old["results"]}
    pairs = [(before[key], row) for row in new["results"] if (key := (row["engine"], row["precision"])) in before]
    if not pairs:
        raise BenchError("--compare needs an engine and precision that both results have, but there is none")
    same_bundle = old.get("bundle") == new.get("bundle")
    found = []
    for pair in pairs:
        moved = _library_moved(*pair) if same_bundle else 0.0
        found += [_change(*pair, metric, moved) for metric in DRIFT if all(_has(row, metric) for row in pair)]
    return found


def _library_moved(old: Mapping[str, Any], new: Mapping[str, Any]) -> float:
    """The share by which the library's own time changed, where version and file are the same."""
    same = all(old.get(key) == new.get(key) for key in ("version", "artifact"))
    if not (same and _has(old, LIBRARY) and _has(new, LIBRARY)):
        return 0.0
    before, after = _blocks(old, LIBRARY), _blocks(new, LIBRARY)
    if not (len(before) and len(after)):
        return 0.0
    return abs(float(np.quantile(after, QUARTILE) / np.quantile(before, QUARTILE)) - 1)


def _change(old: Mapping[str, Any], new: Mapping[str, Any], metric: str, library_moved: float) -> Change:
    ratio = low = high = None
    before, after = _blocks(old, metric), _blocks(new, metric)
    if min(len(before), len(after)) >= MIN_BLOCKS:
        quantile = MEDIAN if OVER in metric else QUARTILE
        ratio = round(float(np.quantile(after, quantile) / np.quantile(before, quantile)), 4)
        low, high = (round(limit, 4) for limit in interval(before, after, quantile))
    allowance = DRIFT[metric]
    if OVER not in metric:
        allowance += library_moved + BUSY_DRIFT * max(_contended(old), _contended(new))
    numbers = (ratio, low, high, round(allowance, 4))
    return Change(new["engine"], new["precision"], metric, *numbers, conclusion(low, high, allowance))


def conclusion(low: float | None, high: float | None, allowance: float) -> str:
    """What an interval of new over old means: "slower", "faster", "no change", or NOISY."""
    if low is None or high is None:
        return NOISY
    if low > 1 + allowance:
        return "slower"
    if high < 1 - allowance:
        return "faster"
    return "no change" if high + allowance < 1 + NOTICED and low - allowance > 1 - NOTICED else NOISY


def interval(before: NDArray[np.float64], after: NDArray[np.float64], quantile: float) -> tuple[float, float]:
    """The CONFIDENCE interval of the ratio after / before of one quantile of two runs, from their blocks in order."""
    rng = np.random.default_rng(0)
    ratios = _resampled(after, quantile, rng) / _resampled(before, quantile, rng)
    tail = (1 - CONFIDENCE) / 2
    return float(np.quantile(ratios, tail)), float(np.quantile(ratios, 1 - tail))


def _resampled(blocks: NDArray[np.float64], quantile: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """The quantile of each resample, `float [RESAMPLES]`."""
    n = len(blocks)
    stretch = max(1, math.isqrt(n))
    starts = rng.integers(0, n, (RESAMPLES, -(-n // stretch)))
    rows = (starts[..., None] + np.arange(stretch)) % n
    return np.asarray(np.quantile(blocks[rows.reshape(RESAMPLES, -1)[:, :n]], quantile, axis=1))


def _blocks(row: Mapping[str, Any], metric: str) -> NDArray[np.float64]:
    """The blocks with an uncontended call, in order: `float [B]`, in ms, or quotients of two kinds of call."""
    kinds: list[Sequence[float | None]] = [row["blocks"][f"{kind}_ms"] for kind in metric.split(OVER)]
    found = [block for block in zip(*kinds, strict=True) if None not in block]
    return np.array([block[0] / block[1] if OVER in metric else block[0] for block in found], np.float64)  # type: ignore[operator]


def _has(row: Mapping[str, Any], metric: str) -> bool:
    return all(f"{kind}_ms" in row["blocks"] for kind in metric.split(OVER))


def _contended(row: Mapping[str, Any]) -> float:
    """The share of calls that waited for a CPU."""
    return 1 - int(row["uncontended_samples"]) / max(1, int(row["samples"]))
