"""Reads the nodes, attributes and small constants of an ONNX graph, without the onnx package. Weights are not copied.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.bundle.onnx_guard import _bytes, _fields, _varints
from runtime.errors import BundleUnsupported

MAX_NODES = 20_000
MAX_NAMES = 1000  # inputs, outputs or attributes of one node, and numbers of one attribute
MAX_RANK = 16
SMALL = 4096  # elements; the values of larger tensors are never needed to know a shape
# TensorProto.DataType -> dtype. A bfloat16 is computed as a float32 where an engine has no arithmetic for it.
DTYPES = {
    number: np.dtype(code)
    for number, code in {
        **{1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?"},
        **{10: "<f2", 11: "<f8", 12: "<u4", 13: "<u8", 16: "<f4"},
    }.items()
}
_TYPED = {4: "<f4", 10: "<f8"}  # float_data, double_data
_ABSENT = {1: 0.0, 2: 0, 3: ""}  # AttributeProto.type -> the value that a file need not store


@dataclass(frozen=True)
class Value:
    """What is known of a tensor before the network runs.

    Attributes:
        shape: Its shape; None if only a bound on its size is known.
        dtype: Its type.
        elements: The number of its elements, or the most that it can have.
        array: Its values, if they are few and do not depend on a picture.
        constant: Whether an engine can compute it when the model is opened.
    """

    shape: tuple[int, ...] | None
    dtype: np.dtype[Any]
    elements: int
    array: NDArray[Any] | None = None
    constant: bool = False

    @property
    def n_bytes(self) -> int:
        return self.elements * self.dtype.itemsize


def known(
    shape: tuple[int, ...], dtype: np.dtype[Any], array: NDArray[Any] | None = None, *, constant: bool = False
) -> Value:
    """Return a value of known shape. Raises ValueError if no tensor has that shape."""
    if len(shape) > MAX_RANK or min(shape, default=0) < 0:
        raise ValueError(f"no tensor may have the shape {_short(shape)}")
    return Value(shape, dtype, math.prod(shape), array, constant)


@dataclass(frozen=True)
class Node:
    """One operation. A missing optional input or output has the name ""."""

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]  # a float, an int, text, lists of the former two, or a Value

    @property
    def label(self) -> str:
        return self.name or f"of {self.operator} that gives {self.outputs[0] if self.outputs else 'nothing'}"


@dataclass(frozen=True)
class Graph:
    """The nodes in the order of the file, the stored tensors, and what must be given to the network."""

    nodes: list[Node] = field(default_factory=list)
    weights: dict[str, Value] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


def read_graph(data: bytes) -> Graph:
    """Read a file that `check_onnx` has accepted.

    Raises:
        BundleUnsupported: It has more nodes, or a node has more inputs or attributes, than any network.
        IndexError, TypeError, ValueError: It cannot be parsed.
    """
    graph = Graph()
    main = next(_bytes(payload) for number, payload in _fields(memoryview(data)) if number == 7)
    for number, payload in _fields(main):
        if number == 1:
            graph.nodes.append(_node(_bytes(payload)))
            if len(graph.nodes) > MAX_NODES:
                raise BundleUnsupported(f"it may have at most {MAX_NODES:,} nodes, but has more")
        elif number == 5:
            name, value = _tensor(_bytes(payload))
            if name in graph.weights:
                raise ValueError(f"two weights are named {name!r}")
            graph.weights[name] = value
        elif number in (11, 12):
            (graph.inputs if number == 11 else graph.outputs).append(_text(_bytes(payload), 1))
    graph.inputs[:] = [name for name in graph.inputs if name not in graph.weights]
    return graph


def _node(message: memoryview) -> Node:
    parts: dict[int, list[int | memoryview]] = {}
    for count, (number, payload) in enumerate(_fields(message)):
        if count > MAX_NAMES:
            raise BundleUnsupported(f"a node may have at most {MAX_NAMES:,} inputs, outputs and attributes")
        parts.setdefault(number, []).append(payload)
    texts = {number: [str(_bytes(each), "utf-8") for each in parts.get(number, [])] for number in (1, 2, 3, 4)}
    attributes = [_attribute(_bytes(each)) for each in parts.get(5, [])]
    if len({name for name, _ in attributes}) < len(attributes):
        raise ValueError("a node has the same attribute twice")
    name, operator = (texts[number][-1] if texts[number] else "" for number in (3, 4))
    return Node(name, operator, tuple(texts[1]), tuple(texts[2]), dict(attributes))


def _attribute(message: memoryview) -> tuple[str, Any]:
    name, kind, value, many = "", 0, None, []
    used: set[int] = set()
    for number, payload in _fields(message):
        if number == 1:
            name = str(_bytes(payload), "utf-8")
        elif number == 2:
            value = float(np.frombuffer(_bytes(payload), "<f4")[0])
        elif number == 3:
            value = _signed(payload)
        elif number == 4:
            value = str(_bytes(payload), "utf-8", "replace")
        elif number == 5:
            value = _tensor(_bytes(payload))[1]
        elif number == 7:
            many.extend(np.frombuffer(_bytes(payload), "<f4").tolist())
        elif number == 8:
            many.extend([_signed(payload)] if isinstance(payload, int) else _integers(payload, MAX_NAMES + 1))
        elif number == 20:
            kind = int(payload)  # type: ignore[arg-type]
        used |= {number} & {2, 3, 4, 5, 7, 8}
        if len(many) > MAX_NAMES:
            raise BundleUnsupported(f"an attribute may have at most {MAX_NAMES:,} numbers")
    if len(used) > 1:
        raise ValueError(f"the attribute {name!r} has values of several types")
    if not used and kind in _ABSENT:
        return name, _ABSENT[kind]
    return name, many if value is None else value


def _tensor(message: memoryview) -> tuple[str, Value]:
    """Return the name of a TensorProto and what it holds; its values only if they are few."""
    name, dims, dtype = "", [], 0
    payloads: dict[int, list[memoryview]] = {}
    for number, payload in _fields(message):
        if number == 1:
            dims.extend([_signed(payload)] if isinstance(payload, int) else _integers(payload, MAX_RANK + 1))
            if len(dims) > MAX_RANK:
                raise BundleUnsupported(f"a tensor may have at most {MAX_RANK} dimensions")
        elif number == 2:
            dtype = int(payload)  # type: ignore[arg-type]
        elif number == 8:
            name = str(_bytes(payload), "utf-8")
        elif number in (4, 5, 7, 9, 10, 11):
            payloads.setdefault(number, []).append(_bytes(payload))
    value = known(tuple(dims), DTYPES[dtype], constant=True)
    if value.elements > SMALL:
        return name, value
    array = np.concatenate([_values(number, b"".join(each), dtype) for number, each in payloads.items()] or [[]])
    return name, known(tuple(dims), value.dtype, array.astype(value.dtype).reshape(dims), constant=True)


def _values(number: int, data: bytes, dtype: int) -> NDArray[Any]:
    if number == 9 and dtype != 16:
        return np.frombuffer(data, DTYPES[dtype])
    if number in _TYPED:
        return np.frombuffer(data, _TYPED[number])
    if dtype == 16:  # no shape is computed from a bfloat16
        return np.zeros(len(data) // 2 if number == 9 else sum(byte < 0x80 for byte in data), "<f4")
    whole = np.array(_integers(memoryview(data), SMALL), np.int64)
    return whole.astype("<u2").view("<f2") if dtype == 10 else whole


def _integers(message: memoryview, most: int) -> list[int]:
    return [_signed(value) for value in islice(_varints(message), most)]


def _signed(value: int | memoryview) -> int:
    """Return an int64 that is stored as an unsigned number."""
    if not isinstance(value, int):
        raise TypeError("a message instead of a number")
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _text(message: memoryview, wanted: int) -> str:
    return next((str(_bytes(payload), "utf-8") for number, payload in _fields(message) if number == wanted), "")


def _short(shape: tuple[int, ...]) -> str:
    text = str(list(shape[: MAX_RANK + 1]))
    return text if len(text) < 120 else f"{text[:120]} …"
