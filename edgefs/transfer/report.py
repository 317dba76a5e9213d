"""The accuracy of a classifier with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefs.evaluation.metrics import wilson


@dataclass(frozen=True)
class Share:
    """Share of n pictures that were answered right, in percent, and the larger half of its 95 % interval (Wilson)."""

    mean: float
    interval: float
    n: int

    def __str__(self) -> str:
        if not self.n:
            return "no pictures"
        return f"{self.mean:.2f} ± {self.interval:.2f} %"


NOTHING = Share(math.nan, math.nan, 0)


def share_of(right: NDArray[np.bool_]) -> Share:
    low, high = wilson(int(right.sum()), len(right))
    mean = float(right.mean())
    return Share(100 * mean, 100 * max(mean - low, high - mean), len(right))
