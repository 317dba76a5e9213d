"""Check that a source is an embedder at all. A wrong one would be exported without any error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exporters.errors import SourceError
from exporters.sources.source import Source

MIN_SPREAD = 1e-5  # of the largest number: smaller differences between pictures are rounding
MIN_LENGTH = 1e-3  # the metric's last step limits squared lengths to 1e-12


def check_embeddings(source: Source, frames: NDArray[np.uint8]) -> None:
    """Refuse a source whose features are not finite, the same for every picture, or class probabilities.

    Args:
        source: The source to check.
        frames: Different real pictures after preprocessing, `uint8 [N, H, W, C]`.

    Raises:
        SourceError: The source is not an embedder.
    """
    features = source.features(frames)
    if not np.isfinite(features).all():
        raise SourceError(
            f"{source.name} must give finite numbers on real pictures, but does not; check its weights, --mean, --std"
        )
    if features.shape[1] < 2 or float(np.ptp(features, axis=0).max()) <= MIN_SPREAD * float(np.abs(features).max()):
        raise SourceError(
            f"{source.name} must give different pictures different embeddings, but {len(frames)} pictures give the "
            f"same {features.shape[1]} numbers; check --mean, --std and --colour, or the network itself"
        )
    shortest = float(np.linalg.norm(features, axis=1).min())
    if source.metric == "cosine" and shortest < MIN_LENGTH:
        raise SourceError(
            f"{source.name} must give features that can be normalised, but one has the length {shortest:.1e}; check "
            "its weights and --mean, --std"
        )
    if (features >= 0).all() and np.allclose(features.sum(axis=1), 1, atol=1e-3):
        raise SourceError(
            f"{source.name} must end in features, but its outputs are probabilities that sum to 1; end it before the "
            "classifier (an ONNX file: --output NAME)"
        )
