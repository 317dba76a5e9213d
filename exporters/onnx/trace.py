"""torch module -> one self-contained ONNX file, as bytes, checked by the rules the device applies.

The file computes in float32; its weights can be stored smaller (`storage.py`).
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


def to_onnx(
    graph: EmbedderGraph,
    preprocess: Preprocess,
    *,
    weights: str = "fp32",
    exporter: str = "dynamo",
    slim: bool = False,
) -> bytes:
    """Export a graph with a dynamic batch.

    weights: "fp32", or stored as "fp16" or "int8"; this also rounds the module's own, so that both agree.  exporter:
    "dynamo", or "legacy" (torch's older tracer, a second try for what dynamo cannot follow).  slim: let onnxslim drop
    redundant nodes.
    Raises ExportError naming what torch or the device's rules object to; ToolMissing without onnxslim.
    """
    round_weights(graph, weights)
    example = torch.zeros((2, *preprocess.shape), dtype=torch.uint8)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # both exporters deprecate parts of themselves
            model = {"dynamo": _dynamo, "legacy": _legacy}[exporter](graph.eval(), example)
    except Exception as error:  # torch raises many kinds; all mean that this module cannot be traced
        other = next(name for name in EXPORTERS if name != exporter)
        raise ExportError(
            f"{type(graph.network).__name__} must be exportable to ONNX with any batch size, but torch's {exporter} "
            f"exporter says: {str(error).strip()}; change that part, or try --exporter {other}"
        ) from error
    store_weights(model, weights)
    return finish(model, preprocess, graph.metric, name=type(graph.network).__name__, slim=slim)


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
