"""Does it embed at all? Asked of every source before anything is built: a wrong one exports without complaint."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exporters.errors import SourceError
from exporters.sources.source import Source

SPREAD = 1e-5  # of the largest number: less than that between pictures is rounding
VANISHED = 1e-3  # the tail adds 1e-12 to squared lengths


def check_embeddings(source: Source, frames: NDArray[np.uint8]) -> None:
    """Refuse what is no embedder: not finite, the same for every picture, or class probabilities.

    frames: `uint8 [N, H, W, C]`, different real pictures.  Raises SourceError.
    """
    features = source.features(frames)
    if not np.isfinite(features).all():
        raise SourceError(
            f"{source.name} must give finite numbers on real pictures, but does not; check its weights, --mean, --std"
        )
    if features.shape[1] < 2 or float(np.ptp(features, axis=0).max()) <= SPREAD * float(np.abs(features).max()):
        raise SourceError(
            f"{source.name} must give different pictures different embeddings, but {len(frames)} pictures give the "
            f"same {features.shape[1]} numbers; check --mean, --std and --colour, or the network itself"
        )
    smallest = float(np.linalg.norm(features, axis=1).min())
    if source.metric == "cosine" and smallest < VANISHED:
        raise SourceError(
            f"{source.name} must give features that can be normalised, but one has the length {smallest:.1e}; check "
            "its weights and --mean, --std"
        )
    if (features >= 0).all() and np.allclose(features.sum(axis=1), 1, atol=1e-3):
        raise SourceError(
            f"{source.name} must end in features, but its outputs are probabilities that sum to 1; cut it before the "
            "classifier (onnx.utils.extract_model)"
        )
