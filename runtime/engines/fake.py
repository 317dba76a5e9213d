"""A public test double: an engine that needs no library and no model, and embeds similar frames similarly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.engines.base import EngineInfo


class FakeEngine:
    """Embeds a frame as its centred 4 x 4 x C thumbnail, projected on `dim` axes at random and L2-normalised.

    The result is deterministic: equal frames have equal embeddings, and similar frames have near ones. Use it as
    `Recognizer(bundle, engine=FakeEngine(dim=bundle.dim))`.

    Attributes:
        dim: Length of an embedding.
        error: If it is set, every call raises it.
        calls: How often `embed` was called.
    """

    def __init__(self, dim: int = 64) -> None:
        self.dim = dim
        self.error: Exception | None = None
        self.calls = 0
        self.info = EngineInfo("fake", "1", "none", "fp32", 1, 1.0, "a test double was passed in")

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Engine.embed`."""
        self.calls += 1
        if self.error is not None:
            raise self.error
        n, height, width, channels = frames.shape
        rows, columns = np.linspace(0, height, 5).astype(int)[:-1], np.linspace(0, width, 5).astype(int)[:-1]
        sums = np.add.reduceat(np.add.reduceat(frames.astype(np.float32), rows, axis=1), columns, axis=2)
        thumbnails = sums.reshape(n, 16 * channels)
        thumbnails = thumbnails - thumbnails.mean(axis=1, keepdims=True) + 1e-3
        projection = np.random.default_rng(0).standard_normal((16 * channels, self.dim)).astype(np.float32)
        embeddings = thumbnails @ projection
        return np.asarray(embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), np.float32)

    def close(self) -> None:
        """Do nothing: there are no resources to free."""
