"""Reads the nodes, attributes and small constants of an ONNX graph, without the onnx package. Weights are not copied.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.bundle.protobuf import Reader, as_bytes, as_text, integers, signed

MAX_RANK = 16
MAX_KNOWN = 4096  # elements; the values of larger tensors are never needed to know a shape
# TensorProto.DataType -> dtype. A bfloat16 is computed as a float32 where an engine has no arithmetic for it.
DTYPES = {
    number: np.dtype(code)
    for number, code in {
        **{1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?"},
        **{10: "<f2", 11: "<f8", 12: "<u4", 13: "<u8", 16: "<f4"},
    }.items()
}
_FIELD_OF_TYPE = {1: 2, 2: 3, 3: 4, 4: 5, 6: 7, 7: 8}  # AttributeProto.type -> the field that an engine reads for it
_STORED_AS = {4: "<f4", 9: "raw", 10: "<f8"}  # float_data, raw_data, double_data; the others are packed integers


@dataclass(frozen=True)
class Tensor:
    """A tensor as far as it is known before the network runs. Make one with `tensor` or `unknown`.

    Attributes:
        array: Its values. If they are not known, a view of a single zero, which has its shape and type but no memory.
        known: Whether `array` has its values.
    """

    array: NDArray[Any]
    known: bool

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def n_bytes(self) -> int:
        return self.size * self.dtype.itemsize


def tensor(array: NDArray[Any], known: bool = True) -> Tensor:
    """Return a tensor of the values or, if they are not known or too many, only of the shape and type of `array`."""
    if known and array.size <= MAX_KNOWN:
        return Tensor(array, True)
    return unknown(array.shape, array.dtype)


def unknown(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
    """Return a tensor whose values are not known. Raises ValueError if it is empty or no array can have the shape."""
    if min(shape, default=1) < 1:
        raise ValueError(f"a tensor has the shape {_short(shape)}, and every size must be at least 1")
    try:
        return Tensor(np.broadcast_to(np.zeros((), dtype), shape), False)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"a tensor of the shape {_short(shape)} is larger than the memory of any computer") from error


def _short(shape: tuple[int, ...]) -> str:
    text = str(list(shape[:8]))
    return text if len(shape) <= 8 and len(text) < 120 else f"{text[:100]} … with {len(shape)} dimensions"


@dataclass(frozen=True)
class Node:
    """One operation. A missing optional input or output has the name ""."""

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]  # a float, an int, text, a Tensor, or an array of numbers


@dataclass(frozen=True)
class Graph:
    """The nodes in the order of the file, the stored tensors, and the names of what must be given to the network.

    `stated` has the shapes of tensors that the file states, where -1 is any size.
    """

    nodes: list[Node]
    weights: dict[str, Tensor]
    inputs: list[str]
    stated: dict[str, tuple[int, ...]] = field(default_factory=dict)


def read_graph(data: bytes) -> Graph:
    """Read a file that `check_onnx` has accepted. Raises IndexError, KeyError, TypeError or ValueError if it cannot."""
    reader = Reader()
    parts = _parts(reader, next(as_bytes(part) for number, part in reader.fields(memoryview(data)) if number == 7))
    stored = [_tensor(reader, as_bytes(part)) for part in parts[5]]
    weights = dict(stored)
    inputs = [as_text(_parts(reader, as_bytes(part))[1][-1]) for part in parts[11]]
    if len(weights) < len(stored):
        raise ValueError("two weights have the same name")
    nodes = [_node(reader, as_bytes(part)) for part in parts[1]]
    return Graph(nodes, weights, [name for name in inputs if name not in weights])


def _parts(reader: Reader, message: memoryview) -> dict[int, list[int | memoryview]]:
    parts: dict[int, list[int | memoryview]] = defaultdict(list)
    for number, part in reader.fields(message):
        parts[number].append(part)
    return parts


def _node(reader: Reader, message: memoryview) -> Node:
    parts = _parts(reader, message)
    inputs, outputs, names, operators = (tuple(as_text(part) for part in parts[number]) for number in (1, 2, 3, 4))
    attributes = [_attribute(reader, as_bytes(part)) for part in parts[5]]
    if len(dict(attributes)) < len(attributes):
        raise ValueError("a node has the same attribute twice")
    return Node(names[-1] if names else "", operators[-1], inputs, outputs, dict(attributes))


def _attribute(reader: Reader, message: memoryview) -> tuple[str, Any]:
    parts = _parts(reader, message)
    kind = signed(parts[20][-1])
    values = parts[_FIELD_OF_TYPE[kind]]
    name = as_text(parts[1][-1])
    if kind == 1:
        return name, float(np.frombuffer(as_bytes(values[-1]), "<f4")[0])
    if kind == 2:
        return name, signed(values[-1])
    if kind == 3:
        return name, str(as_bytes(values[-1]), "utf-8", "replace")
    if kind == 4:
        return name, _tensor(reader, as_bytes(values[-1]))[1]
    lists = [integers(each) if kind == 7 else np.frombuffer(as_bytes(each), "<f4") for each in values]
    return name, np.concatenate(lists) if lists else np.zeros(0, np.int64)


def _tensor(reader: Reader, message: memoryview) -> tuple[str, Tensor]:
    """Return the name of a TensorProto and what it holds; its values only if they are few."""
    parts = _parts(reader, message)
    shape = tuple(
        size for each in parts[1] for size in ([signed(each)] if isinstance(each, int) else integers(each).tolist())
    )
    kind = signed(parts[2][-1])
    dtype, name = DTYPES[kind], as_text(parts[8][-1]) if parts[8] else ""
    values = [(number, part) for number in (4, 5, 7, 9, 10, 11) for part in parts[number]]
    n_bytes = sum(1 if isinstance(part, int) else len(part) for _, part in values)
    if (
        len(shape) > MAX_RANK or min(shape, default=0) < 0 or math.prod(shape) > n_bytes
    ):  # an element has a byte or more
        raise ValueError(f"the weight {name!r} has the shape {_short(shape)}, but {n_bytes:,} bytes of values")
    if math.prod(shape) > MAX_KNOWN or kind == 16:  # no shape is computed from a bfloat16
        return name, unknown(shape, dtype)
    data = [_values(number, part, dtype) for number, part in values] or [np.zeros(0, dtype)]
    return name, tensor(np.concatenate(data).reshape(shape))


def _values(number: int, part: int | memoryview, dtype: np.dtype[Any]) -> NDArray[Any]:
    if number in _STORED_AS:
        code = _STORED_AS[number]
        return np.frombuffer(as_bytes(part), dtype if code == "raw" else code).astype(dtype, copy=False)
    whole = integers(part)
    return whole.astype("<u2").view("<f2") if dtype == np.float16 else whole.astype(dtype)
