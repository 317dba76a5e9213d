"""The shape that each allowed operator gives, and the values of the small constants from which shapes are computed.

A tensor whose values are not known is a numpy view of a single zero, so that one rule serves Reshape, Slice and the
like for both. A rule refuses what would make the size of its output depend on the picture.
Operators: https://github.com/onnx/onnx/blob/main/docs/Operators.md
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import onnx_layers as layers
from runtime.bundle.onnx_graph import DTYPES, MAX_KNOWN, Node, Tensor, tensor, unknown
from runtime.bundle.onnx_layers import Maybe, axes_of, axis_of, listed, numbers

INT64, BOOL, FLOAT = np.dtype("<i8"), np.dtype("?"), np.dtype("<f4")


def infer(node: Node, inputs: Sequence[Maybe]) -> list[Tensor]:
    """Return what is known of the outputs of a node; a left-out input is None.

    Raises:
        ArithmeticError, AttributeError, LookupError, TypeError, ValueError: The inputs do not fit the operator, or the
            size of an output depends on values that are only known while the network runs.
    """
    result = _RULES[node.operator](node, *inputs)
    return result if isinstance(result, list) else [result]


def _computed(
    shape: tuple[int, ...], dtype: np.dtype[Any], inputs: Sequence[Maybe], compute: Callable[..., Any] | None
) -> Tensor:
    """Return a tensor whose values are computed if they are few and all inputs are known."""
    if compute is None or math.prod(shape) > MAX_KNOWN or not all(value is None or value.known for value in inputs):
        return unknown(shape, dtype)
    with np.errstate(all="ignore"):  # integers overflow here as they do in an engine
        array = np.asarray(compute(*(value and value.array for value in inputs))).astype(dtype, copy=False)
    return tensor(array.reshape(shape))


def _elementwise(
    compute: Callable[..., Any] | None = None, dtype: np.dtype[Any] | None = None, typed_by: int = 0
) -> Callable[..., Tensor]:
    def rule(node: Node, *inputs: Tensor) -> Tensor:
        shape = np.broadcast_shapes(*(value.shape for value in inputs))
        return _computed(shape, dtype or inputs[typed_by].dtype, inputs, compute)

    return rule


def _quotient(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Divide; integers towards zero, as C does."""
    if a.dtype.kind == "f":
        return np.asarray(a / b)
    if not b.all():
        raise ZeroDivisionError("it divides a whole number by 0")
    whole = np.abs(a) // np.abs(b)
    return np.asarray(np.where((a < 0) ^ (b < 0), -whole, whole))


def _floor_quotient(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Divide; integers towards minus infinity, as Python and OpenVINO do."""
    return _quotient(a, b) if a.dtype.kind == "f" or not b.all() else np.asarray(a // b)


def _all(function: Any) -> Callable[..., Any]:
    return lambda *arrays: function.reduce(np.broadcast_arrays(*arrays), axis=0)


def _view(function: Callable[..., Any]) -> Callable[..., Tensor]:
    """Return the rule of an operator that reorders, repeats or leaves out elements."""
    return lambda node, first, *others: tensor(function(node, first.array, *others), first.known)


def _reshape(node: Node, array: NDArray[Any], shape: Maybe = None) -> NDArray[Any]:
    wanted = listed(node, "shape", shape) or []
    if not node.attributes.get("allowzero"):
        wanted = [array.shape[at] if size == 0 else size for at, size in enumerate(wanted)]
    return array.reshape(wanted)


def _flatten(node: Node, array: NDArray[Any]) -> NDArray[Any]:
    axis = node.attributes.get("axis", 1)
    at = axis + array.ndim if axis < 0 else axis
    return array.reshape(math.prod(array.shape[:at]), math.prod(array.shape[at:]))


def _squeeze(node: Node, array: NDArray[Any], axes: Maybe = None) -> NDArray[Any]:
    places = axes_of(node, array.ndim, axes)
    return array.squeeze(None if places is None else tuple(places))


def _unsqueeze(node: Node, array: NDArray[Any], axes: Maybe = None) -> NDArray[Any]:
    return np.expand_dims(array, tuple(listed(node, "axes", axes) or ()))


def _transpose(node: Node, array: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(array.transpose(listed(node, "perm")))


def _expand(node: Node, array: NDArray[Any], shape: Tensor) -> NDArray[Any]:
    return np.broadcast_to(array, np.broadcast_shapes(array.shape, tuple(numbers(shape))))


def _slice(
    node: Node, array: NDArray[Any], starts: Maybe = None, ends: Maybe = None, axes: Maybe = None, steps: Maybe = None
) -> NDArray[Any]:
    first, last = listed(node, "starts", starts) or [], listed(node, "ends", ends) or []
    places = axes_of(node, array.ndim, axes)
    index = [slice(None)] * array.ndim
    for at, start, end, step in zip(
        range(len(first)) if places is None else places, first, last, numbers(steps) or [1] * len(first), strict=True
    ):
        index[at] = slice(max(start, -array.shape[at]), end, step)
    return np.asarray(array[tuple(index)])


def _split(node: Node, data: Tensor, sizes: Maybe = None) -> list[Tensor]:
    axis, count = axis_of(node.attributes.get("axis", 0), len(data.shape)), len(node.outputs)
    whole, wanted = data.shape[axis], listed(node, "split", sizes)
    if wanted is None:
        each = -(-whole // count)
        wanted = [each] * (count - 1) + [whole - each * (count - 1)]
    if node.attributes.get("rest") and wanted.count(-1) == 1:
        wanted[wanted.index(-1)] = whole - 1 - sum(wanted)
    if sum(wanted) != whole or len(wanted) != count or min(wanted) < 0:
        raise ValueError(f"parts of the sizes {wanted[:20]} do not make {whole}")
    ends = np.cumsum(wanted).tolist()
    index = [(slice(None),) * axis + (slice(end - size, end),) for size, end in zip(wanted, ends, strict=True)]
    return [tensor(data.array[each], data.known) for each in index]


def _concat(node: Node, *inputs: Tensor) -> Tensor:
    axis = axis_of(node.attributes["axis"], len(inputs[0].shape))
    shapes = [list(value.shape) for value in inputs]
    total = sum(shape.pop(axis) for shape in shapes)
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("its inputs have different shapes")
    shape = (*shapes[0][:axis], total, *shapes[0][axis:])
    return _computed(shape, inputs[0].dtype, inputs, lambda *arrays: np.concatenate(arrays, axis))


def _gather(node: Node, data: Tensor, index: Tensor) -> Tensor:
    axis = axis_of(node.attributes.get("axis", 0), len(data.shape))
    shape = (*data.shape[:axis], *index.shape, *data.shape[axis + 1 :])
    return _computed(shape, data.dtype, (data, index), lambda values, places: np.take(values, places, axis))


def _tile(node: Node, data: Tensor, repeats: Tensor) -> Tensor:
    shape = tuple(size * times for size, times in zip(data.shape, numbers(repeats), strict=True))
    return _computed(shape, data.dtype, (data, repeats), np.tile)


def _range(node: Node, *inputs: Tensor) -> Tensor:
    if not all(value.known for value in inputs):
        raise ValueError("its length would depend on the picture")
    start, limit, delta = (value.array.item() for value in inputs)
    shape = (max(0, math.ceil((limit - start) / delta)),)
    return _computed(shape, inputs[0].dtype, inputs, lambda *_: start + np.arange(shape[0]) * delta)


def _filled(node: Node, shape: Tensor) -> Tensor:
    value = node.attributes.get("value") or tensor(np.zeros(1, FLOAT))
    wanted = tuple(numbers(shape))
    return _computed(wanted, value.dtype, (value,), lambda fill: np.full(wanted, fill.item()))


def _constant(node: Node) -> Tensor:
    ((key, value),) = node.attributes.items()
    return value if isinstance(value, Tensor) else tensor(np.array(value, INT64 if "int" in key else FLOAT))


def _shape(node: Node, data: Tensor) -> Tensor:
    return tensor(np.array(data.shape[node.attributes.get("start", 0) : node.attributes.get("end")], INT64))


def _cast(node: Node, data: Tensor, *_: Tensor) -> Tensor:
    return _computed(data.shape, DTYPES[node.attributes["to"]], (data,), lambda array: array)


_RULES: dict[str, Callable[..., Tensor | list[Tensor]]] = {
    **dict.fromkeys(
        """BatchNormalization Celu Clip Cos CumSum Elu Erf Exp Gelu GroupNormalization HardSigmoid HardSwish
        InstanceNormalization LeakyRelu Log LpNormalization Mish PRelu Reciprocal Relu Round Selu Sigmoid Sign Sin
        Softmax Softplus Softsign Tanh""".split(),  # noqa: SIM905 as in the guard
        layers.same,
    ),
    **dict.fromkeys(
        ("ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceSumSquare"), layers.reduce
    ),
    **dict.fromkeys(("AveragePool", "MaxPool"), layers.pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), layers.global_pool),
    "Abs": _elementwise(np.abs),
    "Add": _elementwise(np.add),
    "And": _elementwise(np.logical_and, BOOL),
    "Cast": _cast,
    "Ceil": _elementwise(np.ceil),
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "Conv": layers.conv,
    "DequantizeLinear": lambda node, data, scale, zero=None: unknown(data.shape, scale.dtype),
    "DepthToSpace": layers.depth_to_space,
    "Div": _elementwise(_quotient),
    "Dropout": lambda node, data, *_: [layers.same(node, data), unknown(data.shape, BOOL)][: len(node.outputs)],
    "Einsum": layers.einsum,
    "Equal": _elementwise(np.equal, BOOL),
    "Expand": _view(_expand),
    "Flatten": _view(_flatten),
    "Floor": _elementwise(np.floor),
    "FloorDiv": _elementwise(_floor_quotient),  # of OpenVINO only
    "Gather": _gather,
    "GatherND": layers.gather_nd,
    "Gemm": layers.gemm,
    "Greater": _elementwise(np.greater, BOOL),
    "GreaterOrEqual": _elementwise(np.greater_equal, BOOL),
    "Identity": _view(lambda node, array: array),
    "LayerNormalization": layers.layer_norm,
    "Less": _elementwise(np.less, BOOL),
    "LessOrEqual": _elementwise(np.less_equal, BOOL),
    "MatMul": layers.matmul,
    "Max": _elementwise(_all(np.maximum)),
    "Min": _elementwise(_all(np.minimum)),
    "Mul": _elementwise(np.multiply),
    "Neg": _elementwise(np.negative),
    "Not": _elementwise(np.logical_not),
    "Or": _elementwise(np.logical_or, BOOL),
    "Pad": layers.pad,
    "Pow": _elementwise(),
    "QuantizeLinear": layers.quantize,
    "Range": _range,
    "Reshape": _view(_reshape),
    "Resize": layers.resize,
    "Shape": _shape,
    "Slice": _view(_slice),
    "SpaceToDepth": layers.space_to_depth,
    "Split": _split,
    "Sqrt": _elementwise(np.sqrt),
    "Squeeze": _view(_squeeze),
    "Sub": _elementwise(np.subtract),
    "Sum": _elementwise(_all(np.add)),
    "Tile": _tile,
    "Transpose": _view(_transpose),
    "Unsqueeze": _view(_unsqueeze),
    "Where": _elementwise(np.where, typed_by=1),
}
