"""Look inside an ONNX file before any engine does, without the onnx package (the device may not have it).

Protocol buffers are a flat list of (field, wire type, payload); the few fields that matter here are walked directly.
Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runtime.errors import BundleCorrupt, BundleError, BundleUnsupported

# What embedding networks are made of. No control flow, no custom domains, nothing that reads files.
ALLOWED_OPERATORS = frozenset(
    """Abs Add AveragePool BatchNormalization Cast Ceil Clip Concat Constant ConstantOfShape Conv DequantizeLinear Div
    Dropout Elu Equal Erf Exp Expand Flatten Floor Gather Gelu Gemm GlobalAveragePool GlobalMaxPool Greater HardSigmoid
    HardSwish Identity InstanceNormalization LayerNormalization LeakyRelu Log MatMul Max MaxPool Min Mul Neg Not PRelu Pad
    Pow QuantizeLinear Range Reciprocal ReduceL2 ReduceMax ReduceMean ReduceSum Relu Reshape Resize Shape Sigmoid Sign
    Slice Softmax Softplus Split Sqrt Squeeze Sub Sum Tanh Tile Transpose Unsqueeze Where""".split()
)
_FLOATS = {1: np.float32, 10: np.float16, 11: np.float64}  # TensorProto.DataType


def check_onnx(data: bytes, name: str = "model.onnx") -> None:
    """Refuse a graph that is not a plain, self-contained, finite network.

    Raises BundleUnsupported (operator, subgraph, function, external data) or BundleCorrupt (not ONNX, NaN weights).
    """
    try:
        model = list(_fields(memoryview(data)))
        graphs = [payload for field, payload in model if field == 7]
        if len(graphs) != 1 or not isinstance(graphs[0], memoryview):
            raise BundleCorrupt(f"{name} must hold one ONNX graph, but holds {len(graphs)}; export it again")
        if any(field == 25 for field, _ in model):
            raise BundleUnsupported(f"{name} must use plain operators, but defines functions of its own; inline them")
        for field, payload in _fields(graphs[0]):
            if field == 1:
                _check_node(_bytes(payload), name)
            elif field == 5:
                _check_tensor(_bytes(payload), name)
            elif field == 15:
                raise BundleUnsupported(f"{name} must hold dense weights, but has sparse ones; export it again")
    except BundleError:
        raise
    except (IndexError, ValueError, TypeError) as error:
        raise BundleCorrupt(f"{name} must be an ONNX file, but cannot be parsed ({error}); export it again") from error


def _check_node(node: memoryview, name: str) -> None:
    operator, domain = "", ""
    for field, payload in _fields(node):
        if field == 4:
            operator = str(_bytes(payload), "utf-8")
        elif field == 7:
            domain = str(_bytes(payload), "utf-8")
        elif field == 5:
            _check_attribute(_bytes(payload), name)
    if operator not in ALLOWED_OPERATORS or domain not in ("", "ai.onnx"):
        full = f"{domain}.{operator}" if domain else operator
        raise BundleUnsupported(f"{name} uses the operator {full}, which is not on the list of allowed ones; replace it")


def _check_attribute(attribute: memoryview, name: str) -> None:
    for field, payload in _fields(attribute):
        if field in (6, 11):  # g, graphs
            raise BundleUnsupported(f"{name} must be one flat graph, but a node carries a subgraph; export it without")
        if field == 5:  # t: the value of a Constant node
            _check_tensor(_bytes(payload), name)


def _check_tensor(tensor: memoryview, name: str) -> None:
    dtype, raw, floats, label = 0, memoryview(b""), memoryview(b""), "?"
    for field, payload in _fields(tensor):
        if field == 2:
            dtype = int(payload)  # type: ignore[arg-type]
        elif field == 4:
            floats = _bytes(payload)  # packed
        elif field == 8:
            label = str(_bytes(payload), "utf-8")
        elif field == 9:
            raw = _bytes(payload)
        elif field == 13 or (field == 14 and payload == 1):
            raise BundleUnsupported(f"{name} must hold its weights itself, but points to external data; save it in one file")
    if dtype in _FLOATS:
        for values in (np.frombuffer(raw, _FLOATS[dtype]), np.frombuffer(floats, np.float32)):
            bad = values.size - int(np.isfinite(values).sum())
            if bad:
                raise BundleCorrupt(f"{name}: all weights must be finite, but {label} has {bad} NaN or infinite ones")


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield (field number, payload) of one protocol-buffer message; nested messages come as bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if wire == 2:
            size, at = _varint(message, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise IndexError(f"wire type {wire}")
        if at + size > len(message):
            raise IndexError("a field runs past the end")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise IndexError("a number of more than 10 bytes")


def _bytes(payload: int | memoryview) -> memoryview:
    if isinstance(payload, int):
        raise TypeError("a number where a message is due")
    return payload
