"""The interface of a source: an embedder that can be exported, wherever it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.preprocess import Preprocess


class Source(Protocol):
    """An embedder as the export sees it: its features, its embeddings and its ONNX file.

    Attributes:
        name: Name of the bundle.
        preprocess: What the device does to a frame before the network.
        metric: "cosine" or "euclidean".
        centres: Whether a base mean may be subtracted; False where training has settled the centring.
        facts: Where the weights come from, for the provenance in the manifest.
    """

    name: str
    preprocess: Preprocess
    metric: str
    centres: bool

    @property
    def facts(self) -> Mapping[str, Any]: ...

    def features(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map engine inputs `uint8 [N, H, W, C]` to features `float32 [N, D]`, before the metric's last step."""
        ...

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map engine inputs to embeddings `float32 [N, D]`; every artifact is compared with these."""
        ...

    def centred(self, base_mean: NDArray[np.float32]) -> Source:
        """Return the same embedder with the mean feature `[D]` of the base classes subtracted before normalising."""
        ...

    def to_onnx(self, *, exporter: str, slim: bool) -> bytes:
        """Return the embedder as one float32 ONNX file. Raises ExportError."""
        ...

    def layers(self, frame: NDArray[np.uint8]) -> Mapping[str, NDArray[Any]]:
        """Return the output of every module for one frame `[1, H, W, C]` by its path, in the order they run."""
        ...
