"""The last step of an embedder, in numpy: what the ONNX graph does with the network's features for its metric."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EPS = 1e-12


def apply_metric(
    features: NDArray[np.float32], metric: str, base_mean: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Turn features into embeddings.

    Args:
        features: `float32 [N, D]`.
        metric: "cosine" subtracts `base_mean` and scales each row to length 1; "euclidean" changes nothing.
        base_mean: `float32 [D]`, or None for no centring.
    """
    if metric != "cosine":
        return features
    centred = features if base_mean is None else features - base_mean
    return np.asarray(centred / np.sqrt(np.maximum((centred**2).sum(axis=1, keepdims=True), EPS)), np.float32)
