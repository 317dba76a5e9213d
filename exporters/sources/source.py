"""Where an embedder comes from. Whatever it is, export asks it for its features, its embeddings and its ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.preprocess import Preprocess


class Source(Protocol):
    """A Protocol, because a torch module and a user's ONNX file have nothing in common but this.

    name, facts: for the manifest.  preprocess, metric: the contract of the bundle.
    centres: whether a base mean may be subtracted; not where training has settled that already.
    """

    name: str
    preprocess: Preprocess
    metric: str
    centres: bool

    @property
    def facts(self) -> Mapping[str, Any]: ...

    def features(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """`uint8 [N, H, W, C]` engine inputs to `float32 [N, D]`, before the metric's tail."""
        ...

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The reference every artefact is held against, in float32: `[N, H, W, C]` to `[N, D]`."""
        ...

    def centred(self, base_mean: NDArray[np.float32]) -> Source:
        """The same embedder with the mean feature `[D]` of the base classes subtracted before normalising."""
        ...

    def to_onnx(self, *, exporter: str, slim: bool) -> bytes:
        """The embedder as one ONNX file, in float32. Raises ExportError."""
        ...

    def layers(self, frame: NDArray[np.uint8]) -> Mapping[str, NDArray[Any]]:
        """Module path -> its output for one frame `[1, H, W, C]`, in the order they run, where modules are known."""
        ...
