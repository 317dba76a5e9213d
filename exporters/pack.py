"""Pack a torch embedder, its preprocessing and its golden frames into a bundle, without building other artifacts."""

from __future__ import annotations

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
    card: str = "",
    **facts: Any,
) -> Bundle:
    """Trace an embedder and put it into a bundle in memory; `Bundle.save` writes it.

    Args:
        graph: The embedder, from engine input to embedding.
        preprocess: What the device does to a frame before that.
        name: Name of the bundle.
        description: One sentence for people.
        golden_frames: Real pictures after preprocessing, `uint8 [G, H, W, C]`. Their float32 embeddings are stored.
        weights: How model.onnx stores the weights: "fp32", "fp16" or "int8".
        card: Text of MODEL_CARD.md; none is written if it is empty.
        facts: `calibration`, `cohort` and `provenance`, as `Bundle.build` takes them.

    Raises:
        ExportError: The network cannot be traced.
        BundleError: A device would refuse the bundle.
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
        extra={"MODEL_CARD.md": card.encode()} if card else None,
        **facts,
    )
