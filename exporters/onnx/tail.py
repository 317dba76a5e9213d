"""The metric's tail in numpy: what the graph does with the network's features, for references and calibration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EPS = 1e-12


def finished(
    features: NDArray[np.float32], metric: str, base_mean: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Features `float32 [N, D]` to embeddings: for "cosine" centred by base_mean `[D]` and on the unit sphere."""
    if metric != "cosine":
        return features
    centred = features if base_mean is None else features - base_mean
    return np.asarray(centred / np.sqrt(np.maximum((centred**2).sum(axis=1, keepdims=True), EPS)), np.float32)
