"""Trace a torch module into one self-contained ONNX file, checked by the rules that the device applies.

The file computes in float32; its weights can be stored smaller (`weight_storage.py`).
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import onnx
import torch

from exporters.errors import ExportError
from exporters.onnx.finish import finish
from exporters.onnx.graph import EmbedderGraph
from exporters.onnx.weight_storage import round_weights, store_weights
from runtime.preprocess import Preprocess

OPSET = 18
EXPORTERS = ("dynamo", "legacy")
MAX_BYTES = 2**31 - 1  # of a protocol buffer


def to_onnx(
    graph: EmbedderGraph, preprocess: Preprocess, *, weights: str = "fp32", exporter: str = "dynamo", slim: bool = False
) -> bytes:
    """Export a graph with a dynamic batch size.

    Args:
        graph: The embedder.
        preprocess: The size and the channels of its input.
        weights: How weights are stored: "fp32", "fp16" or "int8". The module's own weights are rounded to the same
            values, so that module and file agree.
        exporter: "dynamo"; or "legacy", torch's older tracer, for networks that dynamo cannot follow.
        slim: Whether onnxslim removes redundant nodes.

    Returns:
        The ONNX file.

    Raises:
        ExportError: Torch cannot trace the network, it is too large, or a device would refuse the file.
        ToolMissing: onnxslim is not installed.
    """
    _check_size(graph)
    round_weights(graph, weights)
    example = torch.zeros((2, *preprocess.shape), dtype=torch.uint8)
    network = type(graph.network).__name__
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # both exporters deprecate parts of themselves
            model = {"dynamo": _dynamo, "legacy": _legacy}[exporter](graph.eval(), example)
    except Exception as error:  # torch raises many kinds; each means that this module cannot be traced
        other = next(name for name in EXPORTERS if name != exporter)
        raise ExportError(
            f"{network} must be exportable to ONNX with any batch size, but torch's {exporter} exporter says: "
            f"{str(error).strip()}; change that part, or try --exporter {other}"
        ) from error
    store_weights(model, weights)
    return finish(model, preprocess, graph.metric, name=network, slim=slim)


def _check_size(graph: EmbedderGraph) -> None:
    """Refuse a network that no self-contained ONNX file can hold, before it is traced."""
    size = sum(tensor.numel() * tensor.element_size() for tensor in (*graph.parameters(), *graph.buffers()))
    if size > MAX_BYTES:
        raise ExportError(
            f"{type(graph.network).__name__} must have less than {MAX_BYTES / 1e9:.1f} GB of float32 weights, which is "
            f"what one ONNX file can hold, but has {size / 1e9:.1f} GB; choose a smaller network"
        )


def _dynamo(graph: EmbedderGraph, example: torch.Tensor) -> onnx.ModelProto:
    program: Any = torch.onnx.export(
        graph,
        (example,),
        dynamo=True,
        external_data=False,
        opset_version=OPSET,
        input_names=["frames"],
        output_names=["embeddings"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )
    return program.model_proto


def _legacy(graph: EmbedderGraph, example: torch.Tensor) -> onnx.ModelProto:
    buffer = io.BytesIO()
    torch.onnx.export(
        graph,
        (example,),
        buffer,
        dynamo=False,
        opset_version=OPSET,
        input_names=["frames"],
        output_names=["embeddings"],
        dynamic_axes={"frames": {0: "batch"}, "embeddings": {0: "batch"}},
    )
    return onnx.load_from_string(buffer.getvalue())
