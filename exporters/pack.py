"""A traced embedder, its contract and its evidence -> a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from exporters.onnx.graph import EmbedderGraph
from exporters.onnx.trace import to_onnx
from runtime.bundle import Bundle
from runtime.preprocess import Preprocess


def pack(
    graph: EmbedderGraph,
    preprocess: Preprocess,
    *,
    name: str,
    description: str,
    golden_frames: NDArray[np.uint8],
    weights: str = "fp32",
    calibration: Mapping[str, Any] | None = None,
    background: NDArray[np.float32] | None = None,
    provenance: Mapping[str, Any] | None = None,
    card: str = "",
) -> Bundle:
    """Export a graph and put it into a bundle (in memory; `save` writes it).

    weights: how model.onnx stores them: "fp32", "fp16" or "int8".
    golden_frames: `uint8 [G, H, W, C]`, real pictures after preprocessing; their torch float32 embeddings go along.
    Raises ExportError or BundleError.
    """
    model = to_onnx(graph, preprocess, weights=weights)
    with torch.inference_mode():
        golden_embeddings = graph(torch.from_numpy(golden_frames)).numpy()
    return Bundle.build(
        name=name,
        description=description,
        preprocess=preprocess,
        metric=graph.metric,
        model=model,
        golden_frames=golden_frames,
        golden_embeddings=golden_embeddings,
        calibration=calibration,
        background=background,
        provenance=provenance,
        extra={"MODEL_CARD.md": card.encode()} if card else None,
    )
