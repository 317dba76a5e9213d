"""How far the next stranger may get, told from a few: a one-sided prediction limit that knows who is alike."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray


def upper_level(values: NDArray[np.float64], groups: NDArray[np.int64], share: float) -> float:
    """What the next stranger stays below with probability `share`, seen these `float64 [n]` of some classes `int [n]`.

    The sample's own quantile, at rank share * (n + 1), is taken further from the mean: the next stranger is of another
    class, and those of one class are alike, so 30 values of 6 classes are fewer than 30 (design effect; Kish 1965).
    For so few, Student's prediction limit lies that much further out than the normal's.
    """
    finite = np.isfinite(values)
    ordered = np.sort(np.where(finite, values, values[finite].min()))
    own = float(np.interp(share * (len(ordered) + 1) - 1, np.arange(len(ordered)), ordered))
    if not 0.5 < share < 1:
        return own
    n = max(_independent(values[finite], groups[finite]), 3.0)
    further = _student(share, n - 1) / NormalDist().inv_cdf(share) * math.sqrt(1 + 1 / n)
    middle = float(values[finite].mean())
    return middle + max(0.0, own - middle) * further


def _independent(values: NDArray[np.float64], groups: NDArray[np.int64]) -> float:
    """How many independent values grouped ones are worth, by their intraclass correlation."""
    _, index, counts = np.unique(groups, return_inverse=True, return_counts=True)
    n, n_groups, total = len(values), len(counts), float(values.var())
    if n <= n_groups or total <= 0:
        return float(n)
    means = np.bincount(index, values) / counts
    within = float(((values - means[index]) ** 2).sum()) / (n - n_groups)
    correlation = min(1.0, max(0.0, 1 - within / (float(values.var(ddof=1)))))
    return n / (1 + (n / n_groups - 1) * correlation)


def _student(share: float, df: float) -> float:
    """The quantile of Student's t (Cornish and Fisher's expansion; good to 1 % from 3 degrees of freedom on)."""
    z = NormalDist().inv_cdf(share)
    return z + (z**3 + z) / (4 * df) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2)
