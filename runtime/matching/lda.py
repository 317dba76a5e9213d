"""Shared-covariance LDA as nearest class mean in a whitened space: directions in which shots of one class vary anyway
count less. (Hayes and Kanan 2020, "Lifelong Machine Learning with Deep Streaming LDA", arXiv:1909.01520.)

The covariance is shrunk towards a sphere, the more so the fewer shots there are for its D dimensions. In the whitened
space the bundle's metric goes on: cosines stay cosines, so every score, threshold and background row means the same.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

TINY = 1e-12  # added to lengths, which may be zero


def shrinkage(dim: int, dof: int) -> float:
    """The weight of the sphere: 1 without any degree of freedom, small when there are many more than dimensions."""
    return dim / (dim + 2 * dof)


def whitening(covariance: NDArray[np.float64], dof: int) -> NDArray[np.float32]:
    """W `float32 [D, D]`, so that `x @ W.T` has a spherical covariance of mean variance 1.

    The inverse Cholesky factor, scaled to leave lengths about as they are.
    """
    dim = len(covariance)
    variance = np.trace(covariance) / dim
    if dof < 1 or not variance > 0:
        return np.eye(dim, dtype=np.float32)
    weight = shrinkage(dim, dof)
    shrunk = (1 - weight) * covariance / variance + weight * np.eye(dim)
    return np.asarray(np.linalg.inv(np.linalg.cholesky(shrunk)), np.float32)


def whiten(embeddings: NDArray[np.float32], white: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    """Take embeddings `float32 [..., D]` into the whitened space, on the unit sphere for "cosine"."""
    moved = np.asarray(embeddings @ white.T, np.float32)
    if metric == "cosine":  # of one row, as for every camera frame, by the call that is in the caches already
        moved /= (math.sqrt(moved @ moved) if moved.ndim == 1 else np.linalg.norm(moved, axis=-1, keepdims=True)) + TINY
    return moved
