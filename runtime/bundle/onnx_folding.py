"""Computes the small constants from which a network computes shapes: Shape, Gather, Concat, Slice and arithmetic on them.

The types are those of the file, so that integers overflow here as they do in an engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.bundle.onnx_graph import Node, Value

Arrays = list[NDArray[Any]]


def fold(node: Node, inputs: list[Value | None], outputs: list[Value]) -> Arrays | None:
    """Return the values of a node's outputs; None if its inputs are not known or its operator computes no shapes.

    Args:
        node: The node.
        inputs: Its inputs, whose values are known; a left-out one is None.
        outputs: What is known of its outputs: shape and type.
    """
    arrays = [None if value is None else value.array for value in inputs]
    if node.operator in _FOLDS and all(value is None or value.array is not None for value in inputs):
        with np.errstate(all="ignore"):
            result = _FOLDS[node.operator](node, arrays, outputs)
        return [np.asarray(each) for each in (result if isinstance(result, list) else [result])]
    return None


def _divided(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Divide integers towards zero, as C does."""
    if a.dtype.kind not in "iu":
        return np.asarray(a / b)
    quotient = np.abs(a) // np.abs(np.where(b == 0, 1, b))
    return np.asarray(np.where((a < 0) ^ (b < 0), -quotient, quotient))


def _remainder(node: Node, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.fmod(a, b) if node.attributes.get("fmod") else np.mod(a, b))


def _sliced(_: Node, x: list[Any], outputs: list[Value]) -> NDArray[Any]:
    data, starts, ends = x[:3]
    axes = x[3] if len(x) > 3 and x[3] is not None else range(len(starts))
    steps = x[4] if len(x) > 4 and x[4] is not None else [1] * len(starts)
    index = [slice(None)] * data.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        size = data.shape[axis]
        stop = int(end) + size if -size <= end < 0 else int(end)
        index[axis] = slice(int(start), None if step < 0 and stop < 0 else stop, int(step))
    return np.asarray(data[tuple(index)])


def _split(node: Node, x: list[Any], outputs: list[Value]) -> Arrays:
    axis = node.attributes.get("axis", 0)
    sizes = [value.shape[axis] for value in outputs if value.shape is not None]
    return np.split(x[0], np.cumsum(sizes)[:-1], axis)


def _gathered(node: Node, x: list[Any], _: list[Value]) -> NDArray[Any]:
    return np.asarray(np.take(x[0], x[1], axis=node.attributes.get("axis", 0)))


def _reduced(function: Callable[..., Any]) -> Callable[..., Any]:
    def fold_reduction(node: Node, x: list[Any], outputs: list[Value]) -> NDArray[Any]:
        axes = x[1] if len(x) > 1 and x[1] is not None else node.attributes.get("axes")
        axis = None if axes is None or len(axes) == 0 else tuple(int(each) for each in axes)
        return np.asarray(function(x[0], axis=axis)).reshape(outputs[0].shape or ())

    return fold_reduction


def _constant(node: Node, x: list[Any], outputs: list[Value]) -> NDArray[Any]:
    (value,) = node.attributes.values()
    return value.array if isinstance(value, Value) else np.array(value, outputs[0].dtype)  # type: ignore[return-value]


def _filled(node: Node, x: list[Any], outputs: list[Value]) -> NDArray[Any]:
    value = node.attributes.get("value")
    return np.full(outputs[0].shape or (), value.array.ravel()[0] if value else 0, outputs[0].dtype)


def _binary(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda node, x, outputs: function(x[0], x[1])


def _unary(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda node, x, outputs: function(x[0])


def _reshaped(node: Node, x: list[Any], outputs: list[Value]) -> NDArray[Any]:
    return np.asarray(x[0].reshape(outputs[0].shape))


def _many(function: Any) -> Callable[..., Any]:
    return lambda node, x, outputs: function.reduce(np.broadcast_arrays(*x), axis=0)


_FOLDS: dict[str, Callable[[Node, list[Any], list[Value]], Any]] = {
    "Add": _binary(np.add),
    "And": _binary(np.logical_and),
    "Cast": lambda node, x, outputs: x[0].astype(outputs[0].dtype),
    "Ceil": _unary(np.ceil),
    "Abs": _unary(np.abs),
    "Concat": lambda node, x, outputs: np.concatenate(x, node.attributes["axis"]),
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "Div": _binary(_divided),
    "Equal": _binary(np.equal),
    "Expand": lambda node, x, outputs: np.broadcast_to(x[0], outputs[0].shape or ()),
    "Flatten": _reshaped,
    "Floor": _unary(np.floor),
    "Gather": _gathered,
    "Greater": _binary(np.greater),
    "GreaterOrEqual": _binary(np.greater_equal),
    "Identity": _unary(np.asarray),
    "Less": _binary(np.less),
    "LessOrEqual": _binary(np.less_equal),
    "Max": _many(np.maximum),
    "Min": _many(np.minimum),
    "Mod": lambda node, x, outputs: _remainder(node, x[0], x[1]),
    "Mul": _binary(np.multiply),
    "Neg": _unary(np.negative),
    "Not": _unary(np.logical_not),
    "Or": _binary(np.logical_or),
    "Pow": _binary(lambda a, b: np.power(a, np.abs(b) if a.dtype.kind in "iu" else b).astype(a.dtype)),
    "Range": lambda node, x, outputs: x[0] + np.arange(outputs[0].elements, dtype=x[0].dtype) * x[2],
    "ReduceMax": _reduced(np.max),
    "ReduceMin": _reduced(np.min),
    "ReduceProd": _reduced(np.prod),
    "ReduceSum": _reduced(np.sum),
    "Reshape": _reshaped,
    "Slice": _sliced,
    "Split": _split,
    "Sqrt": _unary(np.sqrt),
    "Squeeze": _reshaped,
    "Sub": _binary(np.subtract),
    "Tile": lambda node, x, outputs: np.tile(x[0], x[1]),
    "Transpose": lambda node, x, outputs: x[0].transpose(node.attributes.get("perm")),
    "Unsqueeze": _reshaped,
    "Where": lambda node, x, outputs: np.where(x[0], x[1], x[2]),
}
