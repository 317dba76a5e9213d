"""A public test double: it needs no library, no model and no time, yet gives like frames like embeddings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.engines.base import EngineInfo


class FakeEngine:
    """Embeds a frame as its L2-normalised, centred 4 x 4 x C thumbnail, put on `dim` axes by a fixed random rotation.

    Deterministic; equal frames are equal, similar pictures are near, and a bundle is not needed:
    `Recognizer(bundle, engine=FakeEngine(dim=bundle.dim))`. Raise `error` at the next call by setting it.
    """

    def __init__(self, dim: int = 64) -> None:
        self.dim = dim
        self.error: Exception | None = None
        self.calls = 0
        self.info = EngineInfo("fake", "1", "none", "fp32", 1, 1.0, "a test double was passed in")

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.calls += 1
        if self.error is not None:
            raise self.error
        n, height, width, channels = frames.shape
        rows, columns = np.linspace(0, height, 5).astype(int)[:-1], np.linspace(0, width, 5).astype(int)[:-1]
        sums = np.add.reduceat(np.add.reduceat(frames.astype(np.float32), rows, axis=1), columns, axis=2)
        thumbnails = sums.reshape(n, 16 * channels)
        thumbnails = thumbnails - thumbnails.mean(axis=1, keepdims=True) + 1e-3
        rotation = np.random.default_rng(0).standard_normal((16 * channels, self.dim)).astype(np.float32)
        embeddings = thumbnails @ rotation
        return np.asarray(embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), np.float32)

    def close(self) -> None:
        """Nothing to free."""
