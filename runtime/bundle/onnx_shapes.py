"""Infers the shapes of every allowed operator, from the shapes of its inputs and from constants that are known already.

A rule raises `Unbounded` if the size of its output depends on what is only known while the network runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from runtime.bundle.onnx_graph import DTYPES, Node, Value, known

Rule = Callable[[Node, list[Any]], list[Value]]  # (node, inputs) -> outputs; an input is a Value, or None if left out
INT64, BOOL, FLOAT = np.dtype("<i8"), np.dtype("?"), np.dtype("<f4")
MAX_KERNEL_RANK = 3


class Unbounded(ValueError):
    """The size of an output cannot be known before the network runs."""


def infer(node: Node, inputs: list[Value | None]) -> list[Value]:
    """Return what is known of the outputs of a node.

    Raises:
        Unbounded: The size of an output depends on values that are only known while the network runs.
        ArithmeticError, LookupError, TypeError, ValueError: The inputs do not fit the operator.
    """
    if any(value is not None and value.shape is None for value in inputs):
        return _without_shape(node, inputs)
    return _RULES[node.operator](node, inputs)


def _without_shape(node: Node, inputs: list[Any]) -> list[Value]:
    """Give a bound on the size of an output, for operators that never enlarge their first input."""
    first = inputs[0]
    target = _ints(inputs[1]) if node.operator == "Reshape" and inputs[1].array is not None else []
    if target and min(target) > 0:
        return [known(tuple(target), first.dtype)]
    alone = all(value is None or value.elements == 1 for value in inputs[1:])
    if node.operator in _NEVER_LARGER or (node.operator in _ELEMENTWISE and alone):
        dtype = DTYPES[node.attributes["to"]] if node.operator == "Cast" else first.dtype
        return [Value(None, dtype, first.elements)] * len(node.outputs)
    raise Unbounded("the shape of its input depends on the picture")


def _ints(value: Value | None, what: str = "shape") -> list[int]:
    """Return the whole numbers in a constant."""
    if value is None:
        return []
    if value.array is None:
        raise Unbounded(f"its {what} depends on the picture, or has too many numbers")
    return [int(each) for each in value.array.ravel()]


def _axes(node: Node, inputs: list[Any], place: int = 1) -> list[int] | None:
    """Return the axes of a node, which newer opsets have as an input; None if it names none."""
    if len(inputs) > place and inputs[place] is not None:
        return _ints(inputs[place], "list of axes")
    return node.attributes.get("axes")  # type: ignore[no-any-return]


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < max(rank, 1):
        raise ValueError(f"axis {axis} is outside {rank} dimensions")
    return axis % rank if rank else 0


def _broadcast(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    out = []
    for sizes in zip_longest(*(shape[::-1] for shape in shapes), fillvalue=1):
        larger = {size for size in sizes if size != 1}
        if len(larger) > 1:
            raise ValueError(f"the shapes {shapes} cannot be combined")
        out.append(larger.pop() if larger else 1)
    return tuple(out[::-1])


def _same(node: Node, inputs: list[Any]) -> list[Value]:
    first = known(inputs[0].shape, inputs[0].dtype)
    return [first, *(known(first.shape, BOOL) for _ in node.outputs[1:])]  # Dropout has a mask


def _elementwise(node: Node, inputs: list[Any]) -> list[Value]:
    at = 1 if node.operator == "Where" else 0
    dtype = BOOL if node.operator in _COMPARISONS else inputs[at].dtype
    return [known(_broadcast([value.shape for value in inputs if value is not None]), dtype)]


def _constant(node: Node, _: list[Any]) -> list[Value]:
    ((key, value),) = node.attributes.items()
    if isinstance(value, Value):
        return [value]
    if key not in ("value_int", "value_ints", "value_float", "value_floats"):
        raise ValueError(f"a constant must be a tensor or numbers, but is {key}")
    return [known((len(value),) if isinstance(value, list) else (), INT64 if "int" in key else FLOAT)]


def _filled(node: Node, inputs: list[Any]) -> list[Value]:
    value = node.attributes.get("value")
    return [known(tuple(_ints(inputs[0])), value.dtype if value else FLOAT)]


def _expand(node: Node, inputs: list[Any]) -> list[Value]:
    return [known(_broadcast([inputs[0].shape, tuple(_ints(inputs[1]))]), inputs[0].dtype)]


def _tile(node: Node, inputs: list[Any]) -> list[Value]:
    repeats = _ints(inputs[1], "number of repeats")
    return [known(tuple(a * b for a, b in zip(inputs[0].shape, repeats, strict=True)), inputs[0].dtype)]


def _range(node: Node, inputs: list[Any]) -> list[Value]:
    if any(value.array is None for value in inputs):
        raise Unbounded("its length depends on the picture")
    start, limit, delta = (value.array.ravel()[0].item() for value in inputs)
    if delta == 0:
        raise ValueError("its step is 0")
    return [known((max(0, math.ceil((limit - start) / delta)),), inputs[0].dtype)]


def _reshape(node: Node, inputs: list[Any]) -> list[Value]:
    data = inputs[0]
    if len(inputs) > 1 and inputs[1] is not None and inputs[1].array is None:
        return [Value(None, data.dtype, data.elements)]  # as many elements, whatever the shape
    wanted = _ints(inputs[1]) if len(inputs) > 1 else node.attributes["shape"]
    if not node.attributes.get("allowzero"):
        wanted = [data.shape[at] if size == 0 else size for at, size in enumerate(wanted)]
    others = math.prod(size for size in wanted if size != -1)
    shape = tuple(data.elements // others if size == -1 and others else size for size in wanted)
    if math.prod(shape) != data.elements:
        raise ValueError(f"{data.elements:,} elements do not fit the shape {wanted}")
    return [known(shape, data.dtype)]


def _flatten(node: Node, inputs: list[Any]) -> list[Value]:
    shape, axis = inputs[0].shape, node.attributes.get("axis", 1)
    at = axis if axis >= 0 else axis + len(shape)
    return [known((math.prod(shape[:at]), math.prod(shape[at:])), inputs[0].dtype)]


def _squeeze(node: Node, inputs: list[Any]) -> list[Value]:
    shape, axes = inputs[0].shape, _axes(node, inputs)
    gone = {at for at, size in enumerate(shape) if size == 1} if axes is None else {_axis(a, len(shape)) for a in axes}
    if any(shape[at] != 1 for at in gone):
        raise ValueError(f"only dimensions of size 1 can be removed, but the shape is {shape}")
    return [known(tuple(size for at, size in enumerate(shape) if at not in gone), inputs[0].dtype)]


def _unsqueeze(node: Node, inputs: list[Any]) -> list[Value]:
    axes = _axes(node, inputs) or []
    rank = len(inputs[0].shape) + len(axes)
    new, old = {_axis(axis, rank) for axis in axes}, iter(inputs[0].shape)
    if len(new) < len(axes):
        raise ValueError("an axis is named twice")
    return [known(tuple(1 if at in new else next(old) for at in range(rank)), inputs[0].dtype)]


def _transpose(node: Node, inputs: list[Any]) -> list[Value]:
    shape = inputs[0].shape
    order = node.attributes.get("perm") or list(range(len(shape)))[::-1]
    if sorted(order) != list(range(len(shape))):
        raise ValueError(f"the order {order} does not fit the shape {shape}")
    return [known(tuple(shape[at] for at in order), inputs[0].dtype)]


def _concat(node: Node, inputs: list[Any]) -> list[Value]:
    axis = _axis(node.attributes["axis"], len(inputs[0].shape))
    shapes = [list(value.shape) for value in inputs]
    sizes = [shape.pop(axis) for shape in shapes]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("its inputs have different shapes")
    shapes[0].insert(axis, sum(sizes))
    return [known(tuple(shapes[0]), inputs[0].dtype)]


def _split(node: Node, inputs: list[Any]) -> list[Value]:
    data = inputs[0]
    axis, count = _axis(node.attributes.get("axis", 0), len(data.shape)), len(node.outputs)
    sizes = _ints(inputs[1], "list of sizes") if len(inputs) > 1 else node.attributes.get("split")
    if not sizes:
        each = -(-data.shape[axis] // count)
        sizes = [each] * (count - 1) + [data.shape[axis] - each * (count - 1)]
    if sum(sizes) != data.shape[axis] or len(sizes) != count:
        raise ValueError(f"the sizes {sizes} do not fit the shape {data.shape}")
    return [known((*data.shape[:axis], size, *data.shape[axis + 1 :]), data.dtype) for size in sizes]


def _slice(node: Node, inputs: list[Any]) -> list[Value]:
    data = inputs[0]
    if any(value is not None and value.array is None for value in inputs[1:]):
        return [Value(None, data.dtype, data.elements)]  # at most all of it
    if len(inputs) > 1:
        starts, ends = _ints(inputs[1]), _ints(inputs[2])
        axes = _axes(node, inputs, 3)
    else:
        starts, ends, axes = node.attributes["starts"], node.attributes["ends"], node.attributes.get("axes")
    steps = _ints(inputs[4]) if len(inputs) > 4 and inputs[4] is not None else [1] * len(starts)
    shape = list(data.shape)
    for axis, start, end, step in zip(axes or range(len(starts)), starts, ends, steps, strict=True):
        at = _axis(axis, len(shape))
        size = shape[at]
        start, end = (max(each + size, -1) if each < 0 else each for each in (start, end))
        shape[at] = len(range(min(max(start, 0), size), min(max(end, 0), size), step)) if step > 0 else _backwards(
            min(start, size - 1), end, step
        )
    return [known(tuple(shape), data.dtype)]


def _backwards(start: int, end: int, step: int) -> int:
    return len(range(start, max(end, -1), step))


def _gather(node: Node, inputs: list[Any]) -> list[Value]:
    shape, index = inputs[0].shape, inputs[1].shape
    axis = _axis(node.attributes.get("axis", 0), len(shape))
    return [known((*shape[:axis], *index, *shape[axis + 1 :]), inputs[0].dtype)]


def _gather_nd(node: Node, inputs: list[Any]) -> list[Value]:
    shape, index, batch = inputs[0].shape, inputs[1].shape, node.attributes.get("batch_dims", 0)
    return [known((*index[:-1], *shape[batch + index[-1] :]), inputs[0].dtype)]


def _reduce(node: Node, inputs: list[Any]) -> list[Value]:
    shape, axes = inputs[0].shape, _axes(node, inputs)
    if not axes:
        axes = [] if node.attributes.get("noop_with_empty_axes") else list(range(len(shape)))
    gone = {_axis(axis, len(shape)) for axis in axes}
    keep = node.attributes.get("keepdims", 1)
    left = tuple(1 if at in gone else size for at, size in enumerate(shape) if keep or at not in gone)
    return [known(left, inputs[0].dtype)]


def _gemm(node: Node, inputs: list[Any]) -> list[Value]:
    a, b = (
        value.shape[::-1] if node.attributes.get(key) else value.shape
        for key, value in zip(("transA", "transB"), inputs, strict=False)
    )
    if len(a) != 2 or len(b) != 2 or a[1] != b[0]:
        raise ValueError(f"the shapes {a} and {b} cannot be multiplied")
    return [known((a[0], b[1]), inputs[0].dtype)]


def _matmul(node: Node, inputs: list[Any]) -> list[Value]:
    a, b = (value.shape for value in inputs)
    left, right = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
    if left[-1] != right[-2]:
        raise ValueError(f"the shapes {a} and {b} cannot be multiplied")
    ends = (left[-2],) * (len(a) > 1) + (right[-1],) * (len(b) > 1)
    return [known((*_broadcast([left[:-2], right[:-2]]), *ends), inputs[0].dtype)]


def _shape(node: Node, inputs: list[Any]) -> list[Value]:
    shape = inputs[0].shape
    some = np.array(shape[node.attributes.get("start", 0) : node.attributes.get("end")], INT64)
    return [known(some.shape, INT64, some, constant=True)]


def _cast(node: Node, inputs: list[Any]) -> list[Value]:
    return [known(inputs[0].shape, DTYPES[node.attributes["to"]])]


def _quantize(node: Node, inputs: list[Any]) -> list[Value]:
    there = len(inputs) > 2 and inputs[2] is not None
    return [known(inputs[0].shape, inputs[2].dtype if there else np.dtype("u1"))]


def _dequantize(node: Node, inputs: list[Any]) -> list[Value]:
    return [known(inputs[0].shape, inputs[1].dtype)]


def _normalized(node: Node, inputs: list[Any]) -> list[Value]:
    """Return the shape of the input; further outputs are statistics, which are smaller."""
    return [known(inputs[0].shape, inputs[0].dtype)] * max(1, len(node.outputs))
