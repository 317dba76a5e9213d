"""Checks an ONNX file before an engine opens it, without the onnx package, which a device may not have.

Only the few fields that matter are read. Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.bundle.protobuf import Reader, as_bytes, as_text, integers
from runtime.errors import BundleCorrupt, BundleError, BundleUnsupported

# The operators of embedding networks: no control flow, no custom domains, nothing that reads files.
ALLOWED_OPERATORS = frozenset(
    """Abs Add AveragePool BatchNormalization Cast Ceil Clip Concat Constant ConstantOfShape Conv Cos CumSum
    DequantizeLinear Div Dropout Elu Equal Erf Exp Expand Flatten Floor Gather GatherND Gelu Gemm
    GlobalAveragePool GlobalMaxPool Greater HardSigmoid HardSwish Identity InstanceNormalization
    LayerNormalization LeakyRelu Log MatMul Max MaxPool Min Mul Neg Not PRelu Pad Pow QuantizeLinear Range
    Reciprocal ReduceL2 ReduceMax ReduceMean ReduceSum Relu Reshape Resize Shape Sigmoid Sign Sin Slice Softmax
    Softplus Split Sqrt Squeeze Sub Sum Tanh Tile Transpose Unsqueeze Where
    And Celu DepthToSpace Einsum GreaterOrEqual GroupNormalization Less LessOrEqual LpNormalization Mish Or ReduceL1
    ReduceMin ReduceSumSquare Round Selu Softsign SpaceToDepth""".split()  # noqa: SIM905 a list would be five times as long
)
# Floating types of TensorProto.DataType and how numpy reads them; bfloat16 is the upper half of a float32.
_FLOATS = {1: "<f4", 10: "<f2", 11: "<f8", 16: "<u2"}
_INTEGERS = {2, 3, 4, 5, 6, 7, 9, 12, 13}


def check_onnx(data: bytes, name: str = "model.onnx") -> None:
    """Refuse a graph that is not a plain, self-contained network with finite weights.

    Args:
        data: Contents of the file.
        name: Name of the file for messages.

    Raises:
        BundleUnsupported: It has a forbidden operator, a subgraph, a function or external data.
        BundleCorrupt: It is no ONNX file, or a weight is NaN or infinite.
    """
    try:
        reader = Reader()
        model = list(reader.fields(memoryview(data)))
        graphs = [payload for field, payload in model if field == 7]
        if len(graphs) != 1 or not isinstance(graphs[0], memoryview):
            raise BundleCorrupt(f"{name} must hold one ONNX graph, but holds {len(graphs)}; export it again")
        if any(field in (20, 25) for field, _ in model):
            raise BundleUnsupported(
                f"{name} must be one plain graph, but has functions or training steps; inline or remove them"
            )
        for field, payload in reader.fields(graphs[0]):
            if field == 1:
                _check_node(reader, as_bytes(payload), name)
            elif field == 5:
                _check_tensor(reader, as_bytes(payload), name)
            elif field == 15:
                raise BundleUnsupported(f"{name} must hold dense weights, but has sparse ones; export it again")
    except BundleError:
        raise
    except (IndexError, ValueError, TypeError) as error:
        raise BundleCorrupt(f"{name} must be an ONNX file, but cannot be parsed ({error}); export it again") from error


def _check_node(reader: Reader, node: memoryview, name: str) -> None:
    fields = list(reader.fields(node))
    texts = {field: as_text(payload) for field, payload in fields if field in (3, 4, 7)}
    layer, operator, domain = (texts.get(field, "") for field in (3, 4, 7))
    for field, payload in fields:
        if field == 5:
            _check_attribute(reader, as_bytes(payload), name)
    if operator not in ALLOWED_OPERATORS or domain not in ("", "ai.onnx"):
        full = f"{domain}.{operator}" if domain else operator
        where = f" in its layer {layer}" if layer else ""
        raise BundleUnsupported(
            f"{name} uses the operator {full}{where}, which is not on the list of allowed ones; replace it"
        )


def _check_attribute(reader: Reader, attribute: memoryview, name: str) -> None:
    fields = list(reader.fields(attribute))
    numbers = [field for field, _ in fields]
    if {6, 11} & set(numbers):  # g, graphs
        raise BundleUnsupported(f"{name} must be one flat graph, but a node carries a subgraph; export it without")
    if {10, 22, 23} & set(numbers) or numbers.count(5) > 1:  # tensors, sparse tensors; parsers merge repeated ones
        raise BundleUnsupported(f"{name} must give an attribute at most one dense tensor; export it again")
    for field, payload in fields:
        if field == 5:  # t: the value of a Constant node
            _check_tensor(reader, as_bytes(payload), name)
        elif field in (2, 7):  # f, floats
            _check_finite(np.frombuffer(as_bytes(payload), "<f4"), name, "an attribute")


def _check_tensor(reader: Reader, tensor: memoryview, name: str) -> None:
    dtype, label = 0, "?"
    values = []  # float_data, int32_data, raw_data, double_data; a repeated field may come in pieces
    for field, payload in reader.fields(tensor):
        if field == 2:
            dtype = int(payload)  # type: ignore[arg-type]
        elif field in (4, 5, 9, 10):
            values.append((field, as_bytes(payload)))
        elif field == 8:
            label = as_text(payload)
        elif field == 13 or (field == 14 and payload == 1):
            raise BundleUnsupported(
                f"{name} must hold its weights itself, but points to external data; save it in one file"
            )
    if dtype in _FLOATS:
        for field, payload in values:
            _check_finite(_as_floats(dtype, field, payload), name, label)
    elif dtype not in _INTEGERS:
        raise BundleUnsupported(
            f"{name} must have plain numbers as weights, but {label} is of ONNX type {dtype}; export it again"
        )


def _as_floats(dtype: int, field: int, payload: memoryview) -> NDArray[np.floating[Any]]:
    if field in (4, 10):
        return np.frombuffer(payload, "<f4" if field == 4 else "<f8")
    if field == 5:  # 16-bit floats stored as integers
        payload = memoryview(integers(payload).astype("<u2").tobytes())
    values = np.frombuffer(payload, _FLOATS[dtype])
    return (values.astype("<u4") << 16).view("<f4") if dtype == 16 else values


def _check_finite(values: NDArray[np.floating[Any]], name: str, label: str) -> None:
    bad = values.size - int(np.isfinite(values).sum())
    if bad:
        raise BundleCorrupt(
            f"{name}: all weights must be finite, but {label or '?'} has {bad} NaN or infinite ones; export it again"
        )
