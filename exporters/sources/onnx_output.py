"""Choose where a user's ONNX file ends: at an embedding, not at class scores, and not at a map of features."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import NodeProto, TensorProto, helper, shape_inference

from exporters.errors import SourceError
from exporters.onnx.weight_storage import drop_unused_weights

PRODUCTS = ("Gemm", "MatMul", "Conv")
AFTER_PRODUCT = frozenset({"Add", "Cast", "Flatten", "Identity", "LogSoftmax", "Reshape", "Softmax", "Squeeze"})
CLASS_COUNTS = (1000, 1001, 21841, 21843)  # of ImageNet: an embedding of exactly this size would be a coincidence


def cut_at(model: onnx.ModelProto, name: str, path: Path) -> None:
    """End a graph at the tensor, or at the first output of the layer, of this name, in place.

    Raises:
        SourceError: There is none.
    """
    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output if output}
    layers = {node.name: node.output[0] for node in graph.node if node.name}
    tensor = name if name in makers else layers.get(name)
    if tensor is None:
        near = difflib.get_close_matches(name, [*makers, *layers], n=3, cutoff=0.3)
        hint = f"near it are {', '.join(near)}" if near else f"its last is {graph.node[-1].output[0]}"
        raise SourceError(f"--output must name a tensor or a layer of {path}, but {name!r} is none; {hint}")
    known = {value.name: value for value in (*shape_inference.infer_shapes(model).graph.value_info, *graph.output)}
    end = known.get(tensor) or helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None)
    needed, todo = set(), [tensor]
    while todo:
        node = makers.get(todo.pop())
        if node is not None and id(node) not in needed:
            needed.add(id(node))
            todo += node.input
    kept = [NodeProto.FromString(node.SerializeToString()) for node in graph.node if id(node) in needed]
    del graph.node[:], graph.output[:]
    graph.node.extend(kept)
    graph.output.append(end)
    drop_unused_weights(graph)


def check_end(model: onnx.ModelProto, shape: Sequence[int], path: Path, *, pool: str | None, chosen: bool) -> None:
    """Refuse a file that does not end in an embedding, and say what to take instead.

    Args:
        model: The graph.
        shape: Of its output for one frame.
        path: Of the file, for messages.
        pool: One of POOLS, or None.
        chosen: Whether the user named this output.

    Raises:
        SourceError: It ends in a map or in tokens and there is no `pool`, in class scores, or in something else.
    """
    rank, end = len(shape), model.graph.output[0].name
    if not 2 <= rank <= 4 or (pool == "cls" and rank == 4):
        kinds = "tokens [N, T, D] for --pool cls" if pool == "cls" else "[N, D], a map [N, C, H, W] or tokens [N, T, D]"
        raise SourceError(
            f"the output {end} of {path} must be {kinds}, but is {list(shape)}; name another tensor with --output"
        )
    several = shape[1] > 1 if rank == 3 else rank == 4 and sorted(shape[1:])[1] > 1
    if several and pool is None:
        kind, pools = ("a map", "--pool mean or --pool gem") if rank == 4 else ("tokens", "--pool cls or --pool mean")
        raise SourceError(
            f"{path} must end in one vector [N, D], but its output {end} is {kind} {list(shape)}; add {pools}, or name "
            "an embedding with --output"
        )
    operators, layer = _last_product(model, end)
    scores = "Softmax" in operators or "LogSoftmax" in operators or shape[1] in CLASS_COUNTS
    if scores and not chosen and layer is not None:
        kind = "probabilities" if "Softmax" in operators else f"the scores of {max(shape[1:])} classes"
        raise SourceError(
            f"{path} must end in features, but its output {end} is {kind}; take what its last layer "
            f"{layer.name or layer.op_type} starts from: --output {layer.input[0]} (or --output {end}, if it is one)"
        )


def _last_product(model: onnx.ModelProto, end: str) -> tuple[set[str], NodeProto | None]:
    """Return the operators behind the last layer with weights, and that layer; None if another operator is last."""
    makers = {output: node for node in model.graph.node for output in node.output}
    operators: set[str] = set()
    node = makers.get(end)
    while node is not None and node.op_type in AFTER_PRODUCT:
        operators.add(node.op_type)
        node = next((makers[name] for name in node.input if name in makers), None)
    return operators, node if node is not None and node.op_type in PRODUCTS else None
