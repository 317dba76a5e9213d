"""Reads an OpenVINO IR as the graph of ONNX operators that it stands for, so that one set of rules bounds both.

OpenVINO computes every shape again when it opens a file, from the layers and their constants; the sizes that the ports
state are only compared with the computed ones. Layers: https://docs.openvino.ai/latest/documentation/openvino-ir-format
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element  # nosec B405 # only the type; `openvino_guard` parses

import numpy as np

from runtime.bundle.onnx_graph import DTYPES, MAX_KNOWN, MAX_RANK, Graph, Node, Tensor, tensor, unknown

ONNX_TYPES = {
    **{"f32": 1, "u8": 2, "i8": 3, "u16": 4, "i16": 5, "i32": 6, "i64": 7, "boolean": 9},
    **{"f16": 10, "f64": 11, "u32": 12, "u64": 13, "bf16": 16},
}
MAX_SHARING = 4  # constants may share their bytes, but an engine may copy them for each
SMALL_BYTES = 1_000_000
# Layers that give the shape of their first input, and layers that give the common shape of all their inputs. "Relu" and
# "Pow" stand for them: no shape may be computed from the values that these give.
_SAME = """BatchNormInference Clamp Cos CumSum Elu Erf Exp Gelu GroupNormalization HSigmoid HSwish HardSigmoid Log
    LogSoftmax MVN Mish NormalizeL2 PReLU ReLU Round Selu Sigmoid Sign Sin SoftMax SoftPlus SoftSign Softmax Swish
    Tanh"""
_TOGETHER = "FakeQuantize FloorMod LogicalXor Mod NotEqual Power SquaredDifference"
_REDUCE = "ReduceL1 ReduceL2 ReduceLogicalAnd ReduceLogicalOr ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum"
_SINCE = {"BatchNormInference": 5, "Gather": 8, "GatherND": 8, "Interpolate": 11, "MVN": 6, "Slice": 8}  # opsets


@dataclass(frozen=True)
class _Layer:
    """One layer: the tensors that it takes and gives are named by the number of the layer and of the port."""

    kind: str
    name: str
    inputs: list[str]
    outputs: list[str]
    data: dict[str, str]
    stated: dict[str, tuple[int, ...]]  # what the file says of the shape of every tensor before it
    constants: dict[str, Tensor]

    def node(self, operator: str, inputs: list[str] | None = None, **attributes: Any) -> Node:
        taken = self.inputs if inputs is None else inputs
        return Node(self.name, operator, tuple(taken), tuple(self.outputs), attributes)

    def before(self, operator: str, *inputs: str, **attributes: Any) -> Node:
        """Return a node whose output the layer takes."""
        return Node(self.name, operator, inputs, (f"{self.outputs[0]} {operator} of {inputs[0]}",), attributes)

    def numbers(self, key: str) -> list[int]:
        return _numbers(self.data.get(key, ""))

    def values(self, at: int) -> list[int]:
        """Return the whole numbers of an input that must be a constant."""
        constant = self.constants[self.inputs[at]]
        if not constant.known or constant.dtype.kind not in "iu":
            raise ValueError(f"input {at} of its layer {self.name} is no list of whole numbers")
        return [int(each) for each in constant.array.ravel()]

    def must(self, key: str, *allowed: str) -> None:
        """Check an attribute; the first of the allowed values is that of a file without it."""
        found = self.data.get(key, allowed[0])
        if found not in allowed:
            raise ValueError(f"{key} of its layer {self.name} must be {' or '.join(allowed)}, but is {found[:40]}")


def read_ir(net: Element, weights: bytes, frame: tuple[int, ...]) -> Graph:
    """Read a file that `check_ir` has parsed. Raises AttributeError, LookupError, TypeError or ValueError if it cannot.

    Args:
        net: Its root.
        weights: Contents of its .bin.
        frame: Shape of one input, (height, width, channels).
    """
    if [part.tag for part in net].count("layers") != 1 or [part.tag for part in net].count("edges") > 1:
        raise ValueError("it must have one list of layers and one of edges")
    sources: dict[str, str] = {}
    for edge in net.findall("edges/edge"):
        source, to = (f"{edge.attrib[f'{end}-layer']}:{edge.attrib[f'{end}-port']}" for end in ("from", "to"))
        if sources.setdefault(to, source) != source:
            raise ValueError(f"two edges lead to the port {to}")
    graph = Graph([], {}, [], {})
    for element in net.findall("layers/layer"):
        number, data = element.attrib["id"], element.find("data")
        outputs = {f"{number}:{port.attrib['id']}": port for port in element.findall("output/port")}
        if not graph.stated.keys().isdisjoint(outputs) or len(outputs) < len(element.findall("output/port")):
            raise ValueError(f"two ports are {number}")
        inputs = [sources[f"{number}:{port.attrib['id']}"] for port in element.findall("input/port")]
        layer = _Layer(
            *(element.attrib["type"], element.get("name") or number, inputs, list(outputs)),
            *({} if data is None else data.attrib, graph.stated, graph.weights),
        )
        version = int(element.get("version", "").removeprefix("opset") or 0)
        if version < _SINCE.get(layer.kind, 1):
            raise ValueError(f"its layer {layer.name} is {layer.kind} of opset {version}, which is too old")
        for name, port in outputs.items():
            graph.stated[name] = tuple(_numbers(dim.text or "")[0] for dim in port.findall("dim"))
        if layer.kind == "Parameter":
            graph.inputs.append(layer.outputs[0])
            wanted = "?," + ",".join(map(str, frame))
            kind, shape = layer.data["element_type"], layer.data["shape"].replace(" ", "")
            if (kind, shape) != ("u8", wanted):
                raise ValueError(f"its input must be u8 of {wanted}, but is {kind[:40]} of {shape[:40]!r}")
        elif layer.kind == "Const":
            graph.weights[layer.outputs[0]] = _constant(layer, weights)
        elif layer.kind != "Result":
            made = _translated(layer)
            graph.nodes.extend(made if isinstance(made, list) else [made])
    if sum(value.n_bytes for value in graph.weights.values()) > MAX_SHARING * len(weights) + SMALL_BYTES:
        raise ValueError(f"its constants have more than {MAX_SHARING} times the bytes of the .bin")
    return graph


def _numbers(text: str) -> list[int]:
    """Read numbers as OpenVINO does; Python would also accept 1_000 and other digits."""
    if not re.fullmatch(r"\s*(-?[0-9]{1,18}(\s*,\s*-?[0-9]{1,18})*)?\s*", text, re.ASCII):
        raise ValueError(f"{text[:40]!r} is no list of whole numbers")
    return [int(each) for each in text.split(",") if each.strip()]


def _constant(layer: _Layer, weights: bytes) -> Tensor:
    shape, dtype = tuple(layer.numbers("shape")), DTYPES[ONNX_TYPES[layer.data["element_type"]]]
    (offset,), (size,) = layer.numbers("offset"), layer.numbers("size")
    stored = 2 if layer.data["element_type"] == "bf16" else dtype.itemsize
    if len(shape) > MAX_RANK or min(shape, default=1) < 0 or size != math.prod(shape) * stored:
        raise ValueError(f"the constant {layer.name} has the shape {shape[:8]}, but {size:,} bytes of values")
    if not 0 <= offset <= offset + size <= len(weights):
        raise ValueError(
            f"the constant {layer.name} ends at {offset + size:,}, but the .bin has {len(weights):,} bytes"
        )
    if math.prod(shape) > MAX_KNOWN or stored != dtype.itemsize:
        return unknown(shape, dtype)
    return tensor(np.frombuffer(weights, dtype, math.prod(shape), offset).reshape(shape))


def _translated(layer: _Layer) -> Node | list[Node]:
    rule = _LAYERS.get(layer.kind)
    if rule is None:
        raise ValueError(f"its layer {layer.name} is {layer.kind}, which is not on the list of allowed ones")
    return layer.node(rule) if isinstance(rule, str) else rule(layer)


def _elementwise(operator: str) -> Callable[[_Layer], Node]:
    def rule(layer: _Layer) -> Node:
        layer.must("auto_broadcast", "numpy", "none")
        return layer.node(operator)

    return rule


def _by_axis(operator: str, at: int, **attributes: Any) -> Callable[[_Layer], Node]:
    """Return the rule of a layer whose axis is an input, and an attribute in ONNX."""

    def rule(layer: _Layer) -> Node:
        layer.must("batch_dims", "0")
        (axis,) = layer.values(at)
        return layer.node(operator, layer.inputs[:at] + layer.inputs[at + 1 :], axis=axis, **attributes)

    return rule


def _split(layer: _Layer) -> Node:
    layer.must("num_splits", str(len(layer.outputs)))
    return _by_axis("Split", 1)(layer)


def _windows(layer: _Layer) -> dict[str, Any]:
    layer.must("auto_pad", "explicit", "notset", "valid", "same_upper", "same_lower")
    layer.must("rounding_type", "floor", "ceil", "ceil_torch")
    automatic = layer.data.get("auto_pad", "explicit").upper()
    ceil = {"ceil": 2, "ceil_torch": 1}.get(layer.data.get("rounding_type", "floor"), 0)
    return {
        "auto_pad": "NOTSET" if automatic == "EXPLICIT" else automatic,
        "pads": layer.numbers("pads_begin") + layer.numbers("pads_end"),
        "strides": layer.numbers("strides"),
        "dilations": layer.numbers("dilations"),
        "ceil_mode": ceil,
    }


def _grouped(layer: _Layer) -> list[Node]:
    groups, outputs, *rest = layer.stated[layer.inputs[1]]
    filters = layer.before("Reshape", layer.inputs[1], shape=[groups * outputs, *rest])
    return [filters, layer.node("Conv", [layer.inputs[0], *filters.outputs], group=groups, **_windows(layer))]


def _matmul(layer: _Layer) -> list[Node]:
    made, taken = [], list(layer.inputs)
    for at, key in enumerate(("transpose_a", "transpose_b")):
        layer.must(key, "false", "true")
        axes = list(range(len(layer.stated[taken[at]])))
        if layer.data.get(key) == "true" and len(axes) > 1:
            made.append(layer.before("Transpose", taken[at], perm=[*axes[:-2], axes[-1], axes[-2]]))
            taken[at] = made[-1].outputs[0]
    return [*made, layer.node("MatMul", taken)]


def _pad(layer: _Layer) -> list[Node]:
    both = layer.before("Concat", *layer.inputs[1:3], axis=0)
    return [both, layer.node("Pad", [layer.inputs[0], *both.outputs])]


def _broadcast(layer: _Layer) -> Node:
    layer.must("mode", "numpy", "bidirectional")
    return layer.node("Expand")


def _reshape(layer: _Layer) -> Node:
    layer.must("special_zero", "false", "true")
    return layer.node("Reshape", allowzero=int(layer.data.get("special_zero") != "true"))


def _shape_of(layer: _Layer) -> Node:
    layer.must("output_type", "i64")
    return layer.node("Shape")


def _reduce(layer: _Layer) -> Node:
    layer.must("keep_dims", "false", "true")
    return layer.node("ReduceSum", keepdims=int(layer.data.get("keep_dims") == "true"), noop_with_empty_axes=1)


def _slice(layer: _Layer) -> Node:
    data, start, stop, step, *axes = layer.inputs
    return layer.node("Slice", [data, start, stop, *(axes or [""]), step])


def _interpolate(layer: _Layer) -> Node:
    layer.must("shape_calculation_mode", "sizes", "scales")
    if any(layer.numbers("pads_begin") + layer.numbers("pads_end")):
        raise ValueError(f"its layer {layer.name} has pads, which must be 0")
    data, sizes = layer.inputs[:2]
    axes = layer.values(2) if len(layer.inputs) > 2 else list(range(len(layer.stated[data])))
    given = ["", "", sizes] if layer.data.get("shape_calculation_mode", "sizes") == "sizes" else ["", sizes]
    return layer.node("Resize", [data, *given], axes=axes)


def _range(layer: _Layer) -> list[Node]:
    layer.must("output_type", "i64")
    whole = [layer.before("Cast", each, to=ONNX_TYPES["i64"]) for each in dict.fromkeys(layer.inputs)]
    made = {node.inputs[0]: node.outputs[0] for node in whole}
    return [*whole, layer.node("Range", [made[each] for each in layer.inputs])]


def _divide(layer: _Layer) -> Node:
    layer.must("m_pythondiv", "true", "false")
    return _elementwise("Div" if layer.data.get("m_pythondiv") == "false" else "FloorDiv")(layer)


_LAYERS: dict[str, str | Callable[[_Layer], Node | list[Node]]] = {
    **dict.fromkeys(_SAME.split(), "Relu"),
    **dict.fromkeys(_TOGETHER.split(), _elementwise("Pow")),
    **dict.fromkeys(_REDUCE.split(), _reduce),
    **{kind: kind for kind in ("Abs", "Floor", "Identity", "Sqrt", "Squeeze", "Tile", "Unsqueeze")},
    **{kind: _elementwise(kind) for kind in ("Add", "Equal", "Greater", "Less")},
    **{"Ceiling": "Ceil", "LogicalNot": "Not", "Negative": "Neg"},
    "AvgPool": lambda layer: layer.node("AveragePool", kernel_shape=layer.numbers("kernel"), **_windows(layer)),
    "Broadcast": _broadcast,
    "Concat": lambda layer: layer.node("Concat", axis=layer.numbers("axis")[0]),
    "Convert": lambda layer: layer.node("Cast", to=ONNX_TYPES[layer.data["destination_type"]]),
    "Convolution": lambda layer: layer.node("Conv", **_windows(layer)),
    "DepthToSpace": lambda layer: layer.node("DepthToSpace", blocksize=layer.numbers("block_size")[0]),
    "Divide": _divide,
    "Einsum": lambda layer: layer.node("Einsum", equation=layer.data["equation"]),
    "Gather": _by_axis("Gather", 2),
    "GatherND": lambda layer: layer.node("GatherND", batch_dims=(layer.numbers("batch_dims") or [0])[0]),
    "GreaterEqual": _elementwise("GreaterOrEqual"),
    "GroupConvolution": _grouped,
    "Interpolate": _interpolate,
    "LessEqual": _elementwise("LessOrEqual"),
    "LogicalAnd": _elementwise("And"),
    "LogicalOr": _elementwise("Or"),
    "MatMul": _matmul,
    "MaxPool": lambda layer: layer.node("MaxPool", kernel_shape=layer.numbers("kernel"), **_windows(layer)),
    "Maximum": _elementwise("Max"),
    "Minimum": _elementwise("Min"),
    "Multiply": _elementwise("Mul"),
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "Select": _elementwise("Where"),
    "ShapeOf": _shape_of,
    "Slice": _slice,
    "SpaceToDepth": lambda layer: layer.node("SpaceToDepth", blocksize=layer.numbers("block_size")[0]),
    "Split": _split,
    "Subtract": _elementwise("Sub"),
    "Transpose": lambda layer: layer.node("Transpose", layer.inputs[:1], perm=layer.values(1)),
    "VariadicSplit": _by_axis("Split", 1, rest=1),  # one of its sizes may be -1
}
