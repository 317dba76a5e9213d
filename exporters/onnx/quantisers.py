"""Write the quantisers of an ONNX file as plain float arithmetic, for engines that accept only some quantisers.

An ONNX file that somebody quantised for a CPU has zero points, int32 biases or an opset whose quantisers take no
float16; TensorRT refuses these in every precision. `Round` and `Clip` give the same numbers in float32 and in float16,
so that the network computes what it was calibrated for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from exporters.errors import ExportError
from exporters.onnx.weight_storage import drop_unused_weights

QUANTISERS = ("QuantizeLinear", "DequantizeLinear")
KINDS = ("int8", "uint8", "int16", "uint16")
AXIS = 1  # ONNX's default


def has_quantisers(graph: onnx.GraphProto) -> bool:
    """Return whether a graph has quantisers."""
    return any(node.op_type in QUANTISERS for node in graph.node)


def without_quantisers(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replace every quantiser of a model in place by float arithmetic, and return the model.

    Raises:
        ExportError: A scale is computed by the network, or an activation has several scales or a type without range.
    """
    graph = model.graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.op_type not in QUANTISERS:
            nodes.append(node)
        elif set(filter(None, node.input)) <= values.keys():
            values[node.output[0]] = _computed(node, [values[name] for name in node.input if name])
            graph.initializer.append(numpy_helper.from_array(values[node.output[0]], node.output[0]))
        else:
            nodes += _arithmetic(graph, node, values)
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:], graph.value_info[:]  # the stored types no longer hold
    graph.node.extend(copies)
    drop_unused_weights(graph)
    return model


def _computed(node: NodeProto, constants: list[NDArray[Any]]) -> NDArray[np.float32]:
    """Return the result of a quantiser of a constant; whole numbers are kept as float32."""
    value, scale, zero = constants[0], *_broadcast(node, constants)
    if node.op_type == "DequantizeLinear":
        return np.asarray((value.astype(np.float32) - zero) * scale, np.float32)
    lowest, highest = _range(node, constants[2] if len(constants) > 2 else np.uint8(0))
    return np.asarray(np.clip(np.rint(value / scale) + zero, lowest, highest), np.float32)


def _broadcast(node: NodeProto, constants: list[NDArray[Any]]) -> list[NDArray[np.float32]]:
    """Return scale and zero point, one for each slice along the axis of the quantiser, or one for all."""
    zero = constants[2] if len(constants) > 2 else np.zeros((), np.float32)
    axis = next((int(a.i) for a in node.attribute if a.name == "axis"), AXIS)
    shape = [1] * constants[0].ndim
    if constants[1].size > 1:
        shape[axis] = -1
    return [np.asarray(np.reshape(each, shape if each.size > 1 else ()), np.float32) for each in (constants[1], zero)]


def _arithmetic(graph: onnx.GraphProto, node: NodeProto, values: dict[str, NDArray[Any]]) -> list[NodeProto]:
    scale = values.get(node.input[1])
    given = len(node.input) > 2 and node.input[2]
    zero = values.get(node.input[2]) if given else np.uint8(0)
    if scale is None or zero is None or scale.size != 1:
        raise ExportError(
            f"the quantiser {node.name or node.output[0]} must have one constant scale to be replaced, but has not; "
            "export the network before it was quantised"
        )
    source, result = node.input[0], node.output[0]
    steps: list[tuple[str, tuple[NDArray[np.float32], ...]]] = []
    offset = [_number(zero)] if float(zero.astype(np.float32).item()) else []
    if node.op_type == "QuantizeLinear":
        limits = tuple(map(_number, _range(node, zero)))
        steps = [("Div", (_number(scale),)), ("Round", ()), *(("Add", (o,)) for o in offset), ("Clip", limits)]
    else:
        steps = [*(("Sub", (o,)) for o in offset), ("Mul", (_number(scale),))]
    made = []
    for i, (operator, constants) in enumerate(steps):
        names = [f"{result}.{operator}.{j}" for j in range(len(constants))]
        graph.initializer.extend(map(numpy_helper.from_array, constants, names))
        target = result if i == len(steps) - 1 else f"{result}.{operator}"
        made.append(helper.make_node(operator, [source, *names], [target], f"{result}.{operator}"))
        source = target
    return made


def _range(node: NodeProto, zero: NDArray[Any] | np.uint8) -> tuple[int, int]:
    kind = np.asarray(zero).dtype.name
    if kind not in KINDS:
        raise ExportError(
            f"the quantiser {node.name or node.output[0]} must be of {', '.join(KINDS)}, but is of {kind}; "
            "export the network before it was quantised"
        )
    limits = np.iinfo(kind)
    return int(limits.min), int(limits.max)


def _number(value: Any) -> NDArray[np.float32]:
    return np.asarray(value, np.float32).reshape(())
