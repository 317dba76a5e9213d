"""torch module -> one self-contained ONNX file, as bytes, checked by the rules the device applies.

The file computes in float32. Weights can be stored as float16 with a Cast behind each, which engines fold when they load:
half the size, the same speed.
"""

from __future__ import annotations

import io
import warnings

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from exporters.errors import ExportError
from exporters.graph import EmbedderGraph
from runtime.errors import BundleError
from runtime.onnx_guard import check_onnx
from runtime.preprocess import Preprocess

OPSET = 18
SMALL = 256  # weights with fewer elements (biases, means) stay float32: no size to gain


def to_onnx(graph: EmbedderGraph, preprocess: Preprocess, *, half_weights: bool = False) -> bytes:
    """Export a graph with a dynamic batch. half_weights: also rounds the module's own weights, so that both agree.

    Raises ExportError naming what torch or the device's rules object to.
    """
    if half_weights:
        round_to_half(graph)
    example = torch.zeros((2, *preprocess.shape), dtype=torch.uint8)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter deprecates its own internals
            program = torch.onnx.export(
                graph.eval(),
                (example,),
                dynamo=True,
                external_data=False,
                opset_version=OPSET,
                input_names=["frames"],
                output_names=["embeddings"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
    except Exception as error:  # torch raises many kinds; all mean that this module cannot be traced
        raise ExportError(f"torch cannot export {type(graph.network).__name__} to ONNX: {error}") from error
    model = program.model_proto
    if half_weights:
        _store_half(model)
    for node in model.graph.node:  # names of source files and lines of the exporting machine
        del node.metadata_props[:]
    buffer = io.BytesIO()
    onnx.save(model, buffer)
    data = buffer.getvalue()
    try:
        check_onnx(data)
    except BundleError as error:
        raise ExportError(f"{type(graph.network).__name__} exports to ONNX, but the device would refuse it: {error}") from error
    return data


def round_to_half(module: torch.nn.Module) -> None:
    """Round every large float weight to float16 precision, in place."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point() and tensor.numel() >= SMALL:
            tensor.data = tensor.data.half().float()


def _store_half(model: onnx.ModelProto) -> None:
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
