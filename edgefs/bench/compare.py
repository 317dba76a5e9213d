"""Tell a change of the code from the noise of the machine, between two results.

What a machine does besides can only make a call slower. So each block of calls is represented by its fastest
undisturbed one, and a run by the lower quartile of its blocks: what the code takes when it is left alone. The quotient
of two runs is resampled over stretches of consecutive blocks, because a busy moment is longer than a block (circular
block bootstrap, Politis and Romano 1992).

That interval knows the noise within the runs, not what differed between them: clocks, neighbours in the caches. Two
runs of one build differ by that as well, the more the busier the machine is, so a change must exceed an allowance for
it. Quotients within a run need the least, since both halves are from the same moments: the engine over its library
alone (library.py), and recognize() over the engine, block by block, a run by its median block. Whatever our code costs
shows there; the plain times are left for what the library is given to do: another model, another version. Where that
is the same, what the library itself moved by was the machine, and is allowed for.
benchmarks/compare.py measures how often all this is right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefs.errors import BenchError

QUARTILE, MEDIAN = 0.25, 0.5  # of a run's blocks: times are only ever too long, quotients err both ways
BUSY_DRIFT = 0.10  # more of it when every call is disturbed
NOTICED = 0.10  # "no change" rules out a change of this size
MIN_BLOCKS = 10
CONFIDENCE = 0.99
RESAMPLES = 2000
OVER = " over "
LIBRARY = "library"
NOISY = "too noisy to tell"
# by how much two runs of one build may differ: benchmarks/LOG.md, 2026-11-24
DRIFT = {"engine": 0.05, "recognize": 0.05, "engine over library": 0.03, "recognize over engine": 0.05}


@dataclass(frozen=True)
class Change:
    """One metric of one engine and precision, new over old.

    metric: of DRIFT; one that either result lacks is left out.
    ratio: with its interval low..high; None where there are too few undisturbed blocks.
    allowance: what two runs of one build may differ by, beside the interval.
    verdict: "slower", "faster", "no change", or NOISY.
    """

    engine: str
    precision: str
    metric: str
    ratio: float | None
    low: float | None
    high: float | None
    allowance: float
    verdict: str


def check_comparable(old: Mapping[str, Any], machine: str, threads: int | None) -> None:
    """Raise BenchError unless a result measured here with so many threads could be compared with `old`."""
    try:
        there, had = old["machine"]["machine"], old["threads"]
        for row in old["results"]:
            _disturbed(row)
            for metric in ("engine", "recognize"):
                _blocks(row["blocks"], metric)
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


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Every engine and precision that both results have. Raises BenchError for results that cannot be compared."""
    check_comparable(old, new["machine"]["machine"], new["threads"])
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
    """By what share the library alone, of one version on one file, got slower or faster: that was the machine."""
    if not (
        _has(old, LIBRARY) and _has(new, LIBRARY) and all(old.get(k) == new.get(k) for k in ("version", "artifact"))
    ):
        return 0.0
    before, after = (_blocks(row["blocks"], LIBRARY) for row in (old, new))
    if not (len(before) and len(after)):
        return 0.0
    return abs(float(np.quantile(after, QUARTILE) / np.quantile(before, QUARTILE)) - 1)


def _change(old: Mapping[str, Any], new: Mapping[str, Any], metric: str, library_moved: float) -> Change:
    ratio = low = high = None
    before, after = (_blocks(row["blocks"], metric) for row in (old, new))
    if min(len(before), len(after)) >= MIN_BLOCKS:
        quantile = MEDIAN if OVER in metric else QUARTILE
        ratio = float(np.quantile(after, quantile) / np.quantile(before, quantile))
        low, high = interval(before, after, quantile)
    allowance = DRIFT[metric]
    if OVER not in metric:
        allowance += library_moved + BUSY_DRIFT * max(_disturbed(old), _disturbed(new))
    said = verdict(low, high, allowance)
    numbers = (_rounded(ratio), _rounded(low), _rounded(high), round(allowance, 4))
    return Change(new["engine"], new["precision"], metric, *numbers, said)


def verdict(low: float | None, high: float | None, allowance: float) -> str:
    """What an interval of new over old says."""
    if low is None or high is None:
        return NOISY
    if low > 1 + allowance:
        return "slower"
    if high < 1 - allowance:
        return "faster"
    return "no change" if high + allowance < 1 + NOTICED and low - allowance > 1 - NOTICED else NOISY


def interval(before: NDArray[np.float64], after: NDArray[np.float64], quantile: float) -> tuple[float, float]:
    """The CONFIDENCE interval of the quotient of a quantile of two runs, after / before, from their blocks in order."""
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


def _blocks(blocks: Mapping[str, Sequence[float | None]], metric: str) -> NDArray[np.float64]:
    """The blocks that have an undisturbed call, in order: `float [B]`, ms, or quotients of two kinds of call."""
    kinds = [blocks[f"{kind}_ms"] for kind in metric.split(OVER)]
    calm = [[ms for ms in block if ms is not None] for block in zip(*kinds, strict=True)]
    found = [block for block in calm if len(block) == len(kinds)]
    return np.array([block[0] / block[1] if OVER in metric else block[0] for block in found], np.float64)


def _has(row: Mapping[str, Any], metric: str) -> bool:
    return all(f"{kind}_ms" in row["blocks"] for kind in metric.split(OVER))


def _disturbed(row: Mapping[str, Any]) -> float:
    return 1 - int(row["undisturbed_samples"]) / max(1, int(row["samples"]))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
