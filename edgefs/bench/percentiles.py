"""Percentiles that say nothing the sample cannot support."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefs.bench.clock import Sample

# samples needed before a percentile is stated, for 99 % confidence (MLPerf Inference rules)
FLOORS = {50: 10, 90: 64, 95: 130, 99: 662}


def figures(samples: Sequence[Sample]) -> dict[str, Any]:
    """samples, p50_ms … p99_ms, max_ms, and the same of the undisturbed ones; None where there are too few samples."""
    every = np.array([sample.ms for sample in samples])
    calm = np.array([sample.ms for sample in samples if sample.undisturbed])
    return {
        "samples": len(every),
        **_points(every, ""),
        "undisturbed_samples": len(calm),
        **_points(calm, "undisturbed_"),
    }


def _points(values: NDArray[np.float64], prefix: str) -> dict[str, float | None]:
    points = {
        f"{prefix}p{q}_ms": round(float(np.percentile(values, q)), 4) if len(values) >= floor else None
        for q, floor in FLOORS.items()
    }
    return {**points, f"{prefix}max_ms": round(float(values.max()), 4) if len(values) else None}
