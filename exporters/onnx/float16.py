"""Convert a float32 ONNX file to one whose body computes in float16, for engines that take every type from the file.

The head (normalisation of the pixels) and the tail (the last step of the metric) stay float32, because 576 features of
standard deviation 12 overflow float16 when they are squared. One Cast is placed at each border between the types. ONNX
Runtime's own converter is not used: it leaves the graph unsorted and casts at every float32 node.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper, shape_inference

from exporters.errors import ExportError
from exporters.onnx.activation_ranges import HALF_MAX
from exporters.onnx.weight_storage import drop_unused_weights, with_float_weights

HALF_TINY = float(np.finfo(np.float16).smallest_subnormal)
SMALL_BYTES = 1024
HEAD = frozenset({"Cast", "Transpose", "Gather", "Sub", "Mul", "Div", "Add"})
TAIL = frozenset(
    """Abs Add Cast Clip Div Expand Identity Max Min Mul Pow Reciprocal ReduceL2 ReduceSum Shape Sqrt Squeeze Sub
    Unsqueeze""".split()  # noqa: SIM905 a list would be three times as long
)


def to_half(model: bytes, spare: Collection[str] = ()) -> bytes:
    """Convert an embedder `uint8 [N, H, W, C] -> float32 [N, D]`; its input and its output keep their types.

    Weights beyond ±65504 (attention masks) are clipped to ±65504. Weights below 6e-8 are raised to 6e-8, because they
    would become 0.

    Args:
        model: The float32 ONNX file.
        spare: Names of layers, as `name_nodes` gives them, that stay float32 too.

    Raises:
        ExportError: There is no layer between head and tail, or all of them are spared.
    """
    proto = with_float_weights(onnx.load_from_string(model))
    name_nodes(proto.graph)
    keep = float32_nodes(proto.graph) | set(spare)
    if len(keep) == len(proto.graph.node):
        raise ExportError(
            "the network must compute more than its metric in numbers below 65504 to gain from float16, but does not; "
            "export fp32 only"
        )
    types = _types(proto)
    body = {n.name for n in proto.graph.node} - keep
    _halve_weights(proto.graph, body)
    _halve_attributes(proto.graph, body, types)
    _cast_at_borders(proto.graph, body, types)
    del proto.graph.value_info[:]  # the stored types no longer hold
    return bytes(proto.SerializeToString())


def name_nodes(graph: onnx.GraphProto) -> None:
    """Give every node a unique name in place. Float32 regions and TensorRT's layers are found by these names."""
    taken: set[str] = set()
    for i, node in enumerate(graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{i}"
        taken.add(node.name)


def float32_nodes(graph: onnx.GraphProto) -> set[str]:
    """Return the names of the nodes of head and tail: those reached from input or output by their operators only."""
    makers = {name: [node] for node in graph.node for name in node.output}
    users: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    head = _reach(graph.input[0].name, HEAD, users, lambda node: node.output)
    tail = _reach(graph.output[0].name, TAIL, makers, lambda node: node.input)
    return head | tail


def _reach(
    start: str,
    operators: frozenset[str],
    connected: Mapping[str, list[NodeProto]],
    onward: Callable[[NodeProto], Iterable[str]],
) -> set[str]:
    reached: set[str] = set()
    todo = [start]
    while todo:
        for node in connected.get(todo.pop(), []):
            if node.op_type in operators and node.name not in reached:
                reached.add(node.name)
                todo += onward(node)
    return reached


def _types(proto: onnx.ModelProto) -> dict[str, int]:
    """Return the element type of every tensor."""
    skeleton = onnx.ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
    skeleton.graph.CopyFrom(
        onnx.GraphProto(name="g", node=proto.graph.node, input=proto.graph.input, output=proto.graph.output)
    )
    for tensor in proto.graph.initializer:  # large weights become inputs, because inference copies the whole file twice
        if len(tensor.raw_data) <= SMALL_BYTES:
            skeleton.graph.initializer.append(tensor)
        else:
            skeleton.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    inferred = shape_inference.infer_shapes(skeleton).graph
    values = (*inferred.input, *inferred.value_info, *inferred.output)
    return {v.name: v.type.tensor_type.elem_type for v in values} | {t.name: t.data_type for t in inferred.initializer}


def _inputs(node: NodeProto) -> list[tuple[int, str]]:
    """Return the inputs that have the node's precision. ONNX defines the roi and scales of a Resize as float32."""
    return [(i, name) for i, name in enumerate(node.input) if name and not (node.op_type == "Resize" and i in (1, 2))]


def _halve_weights(graph: onnx.GraphProto, body: set[str]) -> None:
    weights = {t.name: t for t in graph.initializer if t.data_type == TensorProto.FLOAT}
    done: set[str] = set()
    for node in graph.node:
        for i, name in _inputs(node) if node.name in body else ():
            if name in weights:
                node.input[i] = f"{name}.half"
                if name not in done:
                    done.add(name)
                    graph.initializer.append(_halved(weights[name], f"{name}.half"))
    drop_unused_weights(graph)


def _halved(tensor: TensorProto, name: str) -> TensorProto:
    values = np.clip(numpy_helper.to_array(tensor), -HALF_MAX, HALF_MAX)
    tiny = (values != 0) & (np.abs(values) < HALF_TINY)
    return numpy_helper.from_array(np.where(tiny, np.copysign(HALF_TINY, values), values).astype(np.float16), name)


def _halve_attributes(graph: onnx.GraphProto, body: set[str], types: dict[str, int]) -> None:
    """Change the nodes that state the type of their result: Cast(to=…), Constant and ConstantOfShape(value=…)."""
    for node in graph.node:
        if node.name not in body or types.get(node.output[0]) != TensorProto.FLOAT:
            continue
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to":
                attribute.i = TensorProto.FLOAT16
            elif attribute.name == "value" and attribute.t.data_type == TensorProto.FLOAT:
                attribute.t.CopyFrom(_halved(attribute.t, attribute.t.name))
            elif attribute.name in ("value_float", "value_floats"):
                values = np.array(attribute.f if attribute.name == "value_float" else attribute.floats, np.float32)
                attribute.CopyFrom(helper.make_attribute("value", _halved(numpy_helper.from_array(values), "")))
        if node.op_type == "ConstantOfShape" and not node.attribute:  # its default is a float32 zero
            node.attribute.append(helper.make_attribute("value", numpy_helper.from_array(np.zeros(1, np.float16))))


def _cast_at_borders(graph: onnx.GraphProto, body: set[str], types: dict[str, int]) -> None:
    """Put one Cast behind every float tensor that is made on one side of a border and used on the other."""
    in_body = {name: node.name in body for node in graph.node for name in node.output}
    floats = {name for name in in_body if types.get(name) == TensorProto.FLOAT}
    casts: dict[str, NodeProto] = {}  # by the tensor they read
    for node in graph.node:
        follows = dict(_inputs(node))
        for i, name in enumerate(node.input):
            wants_half = node.name in body and i in follows
            if name in floats and in_body[name] != wants_half:
                to, suffix = (TensorProto.FLOAT16, "half") if wants_half else (TensorProto.FLOAT, "float")
                cast = casts.setdefault(
                    name, helper.make_node("Cast", [name], [f"{name}.{suffix}"], f"{name}.to_{suffix}", to=to)
                )
                node.input[i] = cast.output[0]
    nodes: list[NodeProto] = []
    for node in graph.node:
        nodes += [node, *(casts[name] for name in node.output if name in casts)]
    for output in graph.output:
        if in_body.get(output.name) and output.name in floats:
            nodes += _float_output(nodes, output.name)
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _float_output(nodes: list[NodeProto], name: str) -> list[NodeProto]:
    """Rename an output that the body itself makes (there is no tail), and cast it back under its own name."""
    for node in nodes:
        for names in (node.input, node.output):
            for i, used in enumerate(names):
                if used == name:
                    names[i] = f"{name}.body"
    return [helper.make_node("Cast", [f"{name}.body"], [name], f"{name}.to_float", to=TensorProto.FLOAT)]
