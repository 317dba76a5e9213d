"""Shots that disagree with their class: set aside, visible, never deleted, and back as soon as others agree with them.

A wrong picture (another thing, a hand, an empty table) is far from the other shots of its class, from their mean *and*
from the nearest of them; a rare but right view has a neighbour or is near the mean. "Far" is measured in the spread of
the class, robustly (median and MAD; Rousseeuw and Croux 1993), so a varied class tolerates more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIN_SHOTS = 8  # fewer views of a thing from all sides are all unlike each other
MAX_SHARE = 0.25  # of a class; more is no slip but another kind of class
ROBUST_DEVIATIONS = 3.0
MIN_GAP = 0.15  # below the median of (cosine to the mean + cosine to the nearest) / 2


def disagreeing(embeddings: NDArray[np.float32], metric: str) -> NDArray[np.bool_]:
    """Which shots `float32 [n, D]` of one class disagree with the others: `bool [n]`."""
    n = len(embeddings)
    if n < MIN_SHOTS:
        return np.zeros(n, bool)
    fit = agreement(embeddings, metric)
    middle = np.median(fit)
    deviation = 1.4826 * np.median(np.abs(fit - middle))
    out = fit < middle - max(ROBUST_DEVIATIONS * deviation, MIN_GAP)
    if out.sum() > MAX_SHARE * n:
        return np.zeros(n, bool)
    return np.asarray(out)


def agreement(embeddings: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    """How well each shot fits the others, n >= 2: half its cosine to their mean, half to the nearest: `float32 [n]`."""
    x = embeddings
    if metric != "cosine":  # around the class, directions mean nothing: compare lengths by an inverse distance
        x = x - x.mean(axis=0)
        d2 = np.maximum(((x**2).sum(1)[:, None] - 2 * x @ x.T + (x**2).sum(1)), 0)
        scale = max(float(np.median(d2)), 1e-12)
        gram = 1 - d2 / (2 * scale)
    else:
        gram = x @ x.T
    n = len(x)
    to_others = (gram.sum(axis=1) - np.diagonal(gram)) / (n - 1)
    np.fill_diagonal(gram, -np.inf)
    nearest = gram.max(axis=1)
    norm = np.sqrt(max(float(to_others.mean()), 1e-3)) if metric == "cosine" else 1.0  # |mean of the others|, roughly
    return np.asarray(0.5 * to_others / norm + 0.5 * nearest, np.float32)
