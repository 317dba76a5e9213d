"""A torch module as the source of an export; the module itself, run eagerly in float32, is the reference."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from exporters.errors import ExportError
from exporters.frames import in_batches
from exporters.onnx.graph import EmbedderGraph
from exporters.onnx.trace import to_onnx
from runtime.preprocess import Preprocess


class TorchSource:
    """A source that is a torch module; see `exporters.sources.source.Source` for its methods.

    Args:
        name: Name of the bundle.
        graph: The embedder, from engine input to embedding.
        preprocess: What the device does to a frame before that; its size and channels must fit the graph.
        facts: Where the weights come from, for the manifest.
        centres: Whether the mean of base classes may be subtracted.
    """

    def __init__(
        self,
        name: str,
        graph: EmbedderGraph,
        preprocess: Preprocess,
        facts: Mapping[str, Any] | None = None,
        *,
        centres: bool = True,
    ) -> None:
        self.name, self.graph, self.preprocess = name, graph.eval(), preprocess
        self.metric = graph.metric
        self.facts = dict(facts or {})
        self.centres = centres

    def features(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._run(self.graph.features, frames)

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._run(self.graph, frames)

    def centred(self, base_mean: NDArray[np.float32]) -> TorchSource:
        graph = copy.deepcopy(self.graph)
        graph.base_mean = torch.from_numpy(base_mean)
        return TorchSource(self.name, graph, self.preprocess, self.facts)

    def to_onnx(self, *, exporter: str = "dynamo", slim: bool = False) -> bytes:
        return to_onnx(self.graph, self.preprocess, exporter=exporter, slim=slim)

    def layers(self, frame: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        outputs: dict[str, NDArray[Any]] = {}

        def keep(name: str) -> Any:
            def hook(_module: Any, _inputs: Any, output: Any) -> None:
                if isinstance(output, torch.Tensor):
                    outputs[name] = output.numpy().copy()  # the next activation may work in place

            return hook

        hooks = [module.register_forward_hook(keep(name)) for name, module in self.graph.named_modules() if name]
        try:
            self.embed(frame)
        finally:
            for hook in hooks:
                hook.remove()
        return outputs

    def _run(self, module: Any, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            with torch.no_grad():  # not inference mode, in which a layer may be folded into another
                return in_batches(lambda batch: module(torch.from_numpy(batch)).numpy(), frames)
        except (RuntimeError, AssertionError, ValueError, TypeError) as error:
            raise ExportError(
                f"{self.name} must take {self.preprocess.channels} channels of {self.preprocess.size} pixels, but "
                f"torch says: {error}; choose another --size"
            ) from error
