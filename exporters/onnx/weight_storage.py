"""Store the weights of an ONNX file in fewer bits. The file computes in float32 however its weights are stored.

With "fp16" every large weight is stored in float16 and followed by a Cast. With "int8" every large matrix and kernel is
stored in int8 with one scale per output and followed by a DequantizeLinear; other large weights are stored in float16.
Engines undo both when they load the file, so it has a half or a quarter of the size at the same speed. The modules
`targets/onnx_cpu.py` and `targets/tensorrt_int8.py` make files that also compute in int8.

A DequantizeLinear is used rather than Cast and Mul because TensorRT accepts an int8 constant only in front of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from exporters.errors import ExportError

if TYPE_CHECKING:
    import torch

STORAGES = ("fp32", "fp16", "int8")
SMALL = 256  # weights with fewer elements (biases, means) stay float32: no size to gain


def round_weights(module: torch.nn.Module, storage: str) -> None:
    """Round the large weights of a module in place to the values that the stored file has, so that both agree.

    For "int8" fold every BatchNorm into its convolution first: folding it afterwards would change the scales.

    Args:
        module: The module to change.
        storage: One of STORAGES.

    Raises:
        ExportError: The storage is unknown.
    """
    if storage not in STORAGES:
        raise ExportError(f"weights must be stored as one of {', '.join(STORAGES)}, but got {storage!r}")
    for tensor in (*module.parameters(), *module.buffers()):
        if storage == "fp32" or not tensor.is_floating_point() or tensor.numel() < SMALL:
            continue
        if storage == "int8" and tensor.ndim > 1:
            whole, scale = quantise_per_output(tensor.detach().numpy())
            tensor.data.copy_(tensor.new_tensor(whole * scale))
        else:
            tensor.data = tensor.data.half().float()


def store_weights(model: onnx.ModelProto, storage: str) -> None:
    """Store every large float32 weight of a model as `storage`, one of STORAGES, in place."""
    if storage == "fp32":
        return
    tensors, nodes = list(model.graph.initializer), list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    for tensor in tensors:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < SMALL:
            model.graph.initializer.append(tensor)
            continue
        values, name = numpy_helper.to_array(tensor), tensor.name
        if storage == "int8" and values.ndim > 1:
            whole, scale = quantise_per_output(values)
            parts = {f"{name}.int8": whole, f"{name}.scale": scale.ravel()}
            node = onnx.helper.make_node("DequantizeLinear", [*parts], [name], axis=0)
        else:
            parts = {f"{name}.half": values.astype(np.float16)}
            node = onnx.helper.make_node("Cast", [*parts], [name], to=TensorProto.FLOAT)
        model.graph.initializer.extend(numpy_helper.from_array(part, key) for key, part in parts.items())
        model.graph.node.append(node)
    model.graph.node.extend(nodes)


def with_float_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Undo `store_weights` in place and return the model: quantisers and engines look for plain initialisers."""
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for node in list(graph.node):
        if node.op_type not in ("Cast", "DequantizeLinear") or not set(node.input) <= weights.keys():
            continue
        values, *scale = (numpy_helper.to_array(weights[name]) for name in node.input)
        if scale and scale[0].ndim == 1 and len(scale) == 1:  # stored as int8: one scale per output, no zero point
            restored = values * scale[0].reshape(-1, *[1] * (values.ndim - 1))
        elif values.dtype == np.float16 and node.attribute[0].i == TensorProto.FLOAT:
            restored = values.astype(np.float32)
        else:
            continue
        graph.initializer.append(numpy_helper.from_array(restored, node.output[0]))
        graph.node.remove(node)
    drop_unused_weights(graph)
    return model


def drop_unused_weights(graph: onnx.GraphProto) -> None:
    """Remove the initialisers that no node and no output uses, in place."""
    used = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def quantise_per_output(values: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quantise `float32 [O, ...]` to symmetric int8 and its scales `[O, 1, ...]`; rounded values stay as they are."""
    largest = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
    scale = (np.where(largest > 0, largest, 1) / 127).astype(np.float32)
    return np.rint(values / scale).astype(np.int8), scale
