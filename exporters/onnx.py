"""torch module -> one self-contained ONNX file, as bytes, checked by the rules the device applies.

The file computes in float32. Weights can be stored as float16 with a Cast behind each, which engines fold when they
load: half the size, the same speed.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from exporters.errors import ExportError
from exporters.finish import finish
from exporters.graph import EmbedderGraph
from runtime.preprocess import Preprocess

OPSET = 18
SMALL = 256  # weights with fewer elements (biases, means) stay float32: no size to gain
EXPORTERS = ("dynamo", "legacy")


def to_onnx(
    graph: EmbedderGraph,
    preprocess: Preprocess,
    *,
    half_weights: bool = False,
    exporter: str = "dynamo",
    slim: bool = False,
) -> bytes:
    """Export a graph with a dynamic batch.

    half_weights: also rounds the module's own weights, so that both agree.  exporter: "dynamo", or "legacy" (torch's
    older tracer, a second try for what dynamo cannot follow).  slim: let onnxslim drop redundant nodes.
    Raises ExportError naming what torch or the device's rules object to; ToolMissing without onnxslim.
    """
    if half_weights:
        round_to_half(graph)
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
    if half_weights:
        store_half(model)
    return finish(model, preprocess, graph.metric, name=type(graph.network).__name__, slim=slim)


def round_to_half(module: torch.nn.Module) -> None:
    """Round every large float weight to float16 precision, in place."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point() and tensor.numel() >= SMALL:
            tensor.data = tensor.data.half().float()


def store_half(model: onnx.ModelProto) -> None:
    """Store every large float32 weight as float16 with a Cast to float32 behind it, in place."""
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and np.prod(tensor.dims) >= SMALL:
            values = numpy_helper.to_array(tensor).astype(np.float16)
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(values, f"{name}.half"))
            casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


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
