"""Refuses a network that would take too much memory or time, before an engine sees it.

Engines compute constants when they open a model, and reserve memory for whatever its shapes say, so a file of a few
hundred bytes can ask for any amount. Here the shape of every tensor is inferred from the file alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from runtime.bundle.onnx_graph import Graph, Node, Tensor, read_graph, unknown
from runtime.bundle.onnx_layers import einsum_sizes
from runtime.bundle.onnx_shapes import infer
from runtime.errors import BundleUnsupported

MAX_BATCH = 16  # frames that an engine is given at once
# For each frame. The largest classifiers of torchvision need 4e11 multiplications, 70 MB and 300 MB.
MAX_TENSOR_BYTES = 128_000_000
MAX_BYTES = 512_000_000  # of all tensors that are needed at the same time, and of all constants that are computed
MAX_WORK = 500_000_000_000  # multiplications
MAX_NODES, MAX_INPUTS = 8000, 50_000  # of all nodes together; the largest of torchvision have 1,300 nodes
WEIGHT_GROWTH = 4  # weights stored as int8 become float32, so a file may add so many times its size to the bytes
ELEMENT_WORK = 16  # what an element costs that is computed by anything but multiplications, in multiplications


def check_cost(data: bytes, frame: tuple[int, ...], name: str = "model.onnx") -> None:
    """Check the memory and the work that a network needs, which `check_onnx` has accepted.

    Args:
        data: Contents of the file.
        frame: Shape of one input, (height, width, channels).
        name: Name of the file for messages.

    Raises:
        BundleUnsupported: It needs too much, or what it needs cannot be known before it runs.
    """
    check_graph(lambda: read_graph(data), frame, len(data), name)


def check_graph(read: Callable[[], Graph], frame: tuple[int, ...], n_bytes: int, name: str) -> None:
    """Check a graph that `read` gives; its weights have `n_bytes` bytes in the file. Raises as `check_cost` does."""
    try:
        graph = read()
        taken = sum(len(node.inputs) for node in graph.nodes)
        if len(graph.inputs) != 1 or len(graph.nodes) > MAX_NODES or taken > MAX_INPUTS:
            raise ValueError(f"it has {len(graph.inputs)} inputs, and {len(graph.nodes):,} nodes that take {taken:,}")
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise BundleUnsupported(
            f"{name} must be a plain network with one input and at most {MAX_NODES:,} nodes that take {MAX_INPUTS:,}, "
            f"but: {error}; export it again"
        ) from error
    # Only a network that looks at the number of frames can need more for fewer of them.
    for count in range(1, MAX_BATCH + 1) if _looks_at_frames(graph) else (1, MAX_BATCH):
        _check_batch(graph, (count, *frame), WEIGHT_GROWTH * n_bytes, name)


def _looks_at_frames(graph: Graph) -> bool:
    """Return whether it uses the shape of anything computed from the frames. The shape of a shape is only a rank."""
    used = {each for node in graph.nodes if node.operator != "Shape" for each in node.inputs}
    computed = set(graph.inputs)
    for node in graph.nodes:
        if not computed.isdisjoint(node.inputs):
            if node.operator != "Shape":
                computed.update(node.outputs)
            elif not used.isdisjoint(node.outputs):
                return True
    return False


def _check_batch(graph: Graph, frames: tuple[int, ...], extra: int, name: str) -> None:
    """Infer one node after another for inputs of the shape `frames`; `extra` bytes are allowed for the weights."""
    tensors = {**graph.weights, graph.inputs[0]: unknown(frames, np.dtype("u1"))}
    try:
        _check_stated(graph.stated, tensors)
    except ValueError as error:
        raise BundleUnsupported(f"{name} must state the size of every tensor, but: {error}; export it again") from error
    constants, in_use, work = set(graph.weights), 0, 0
    last = {value: at for at, node in enumerate(graph.nodes) for value in (*node.outputs, *node.inputs)}
    for at, node in enumerate(graph.nodes):
        try:
            outputs = _outputs(node, tensors)
            _check_stated(graph.stated, outputs)
            work += _work(node, [tensors[each] for each in node.inputs if each], outputs)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise BundleUnsupported(
                f"{name}: the size of every tensor must follow from the file for any number of frames, but for "
                f"{frames[0]} the {_label(node)} has none: {error}; export it again with fixed sizes and a free batch"
            ) from error
        tensors |= outputs
        # An engine keeps what it can compute when it opens the model; the number of frames may be fixed in the file.
        if node.operator == "Shape" or constants.issuperset(filter(None, node.inputs)):
            constants.update(outputs)
        largest = max(value.n_bytes for value in outputs.values())
        in_use += sum(value.n_bytes for value in outputs.values())
        for what, found, most in (
            ("bytes in one tensor", largest, frames[0] * MAX_TENSOR_BYTES + extra),
            ("bytes at the same time", in_use, frames[0] * MAX_BYTES + extra),
            ("multiplications", work, frames[0] * MAX_WORK),
        ):
            if found > most:
                given = f"{frames[0]} frame{'s' * (frames[0] > 1)} of {frames[1]} × {frames[2]}"
                raise BundleUnsupported(
                    f"{name} may need at most {most:,} {what} for {given}, but the {_label(node)} brings it to "
                    f"{found:,}; export a smaller network or frame"
                )
        done = {each for each in (*node.inputs, *node.outputs) if each and last[each] == at} - constants
        in_use -= sum(tensors[each].n_bytes for each in done if each != graph.inputs[0])


def _outputs(node: Node, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for each in node.inputs:
        if each and each not in tensors:
            raise LookupError(f"its input {each!r} is not given by a layer before it")
    inferred = infer(node, [tensors[each] if each else None for each in node.inputs])
    outputs = {each: value for each, value in zip(node.outputs, inferred, strict=True) if each}
    if not outputs:
        raise ValueError("it gives nothing")
    if len(outputs) < sum(map(bool, node.outputs)) or not tensors.keys().isdisjoint(outputs):
        raise ValueError("another tensor has the name of its output")
    return outputs


def _check_stated(stated: dict[str, tuple[int, ...]], tensors: dict[str, Tensor]) -> None:
    for each in stated.keys() & tensors.keys():
        found, said = tensors[each].shape, stated[each]
        if len(said) != len(found) or any(size not in (-1, real) for size, real in zip(said, found, strict=True)):
            raise ValueError(f"the file states the shape {list(said[:8])} for {each}, which has {list(found[:8])}")


def _work(node: Node, inputs: list[Tensor], outputs: dict[str, Tensor]) -> int:
    """Return the multiplications of a node; other work is `ELEMENT_WORK` for each element that it reads or writes."""
    size = max(value.size for value in outputs.values())
    if node.operator == "Conv":
        return size * math.prod(inputs[1].shape[1:])
    if node.operator == "Einsum":
        return math.prod(einsum_sizes(node, *inputs)[0].values())
    if node.operator in ("MatMul", "Gemm"):
        return size * inputs[0].shape[0 if node.attributes.get("transA") else -1]
    window = math.prod(int(each) for each in node.attributes.get("kernel_shape", ()))
    return ELEMENT_WORK * max([size * window, *(value.size for value in inputs)])


def _label(node: Node) -> str:
    return f"layer {node.name or ' '.join(node.outputs)} ({node.operator})"
