"""float32 ONNX -> int8 ONNX with explicit quantisers (Q/DQ) in the one form TensorRT's parser takes.

Symmetric everywhere (its parser refuses any zero point but 0), int8 weights per channel, float32 biases; convolutions
and matrix products only. The range of an activation is a moving average over real frames, one at a time: of MobileNetV2
this kept more than the plain extremes (5-way 1-shot on shop photos 72.6 against 72.2, float32 73.1), and it needs no
memory. Scales stay float32: in float16 their products underflow. Not for serving on a CPU, where it is slow.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from exporters.errors import ExportError
from exporters.onnx.float16 import name_nodes
from exporters.onnx.weight_storage import with_float_weights

OPERATORS = ["Conv", "Gemm", "MatMul"]
MIN_FRAMES = 16  # fewer do not show the range of the activations


def to_int8(model: bytes, frames: NDArray[np.uint8]) -> bytes:
    """Quantise an embedder `uint8 [N, H, W, C] -> float32 [N, D]`.

    frames: `uint8 [N, H, W, C]`, real ones after preprocessing; 100 to 500 are customary.
    Raises ExportError: too few frames, nothing to quantise, or a zero point other than 0.
    """
    if len(frames) < MIN_FRAMES:
        raise ExportError(
            f"int8 needs {MIN_FRAMES} calibration frames or more, but got {len(frames)}; give more with --calibrate"
        )
    proto = with_float_weights(onnx.load_from_string(model))
    name_nodes(proto.graph)
    if not any(node.op_type in OPERATORS for node in proto.graph.node):
        raise ExportError(
            f"int8 needs one of {', '.join(OPERATORS)} to quantise, but the network has none; export fp32 only"
        )
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(_prepared(proto, Path(folder)), source)
        try:
            _quantize(source, target, proto.graph.input[0].name, frames)
        except Exception as error:  # ONNX Runtime raises its own kinds, TypeError and ValueError
            raise ExportError(f"ONNX Runtime cannot quantise this network: {error}; leave int8 out") from error
        quantised = onnx.load(target)
    _check_zero_points(quantised)
    return bytes(quantised.SerializeToString())


def _prepared(proto: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """ONNX Runtime's own preparation (folding, shapes) where it works: 1.32 raises TypeError on some exports."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    source, target = folder / "raw.onnx", folder / "prepared.onnx"
    onnx.save(proto, source)
    try:
        quant_pre_process(source, target, skip_symbolic_shape=True)
    except TypeError:
        return proto
    return onnx.load(target)


def _quantize(source: Path, target: Path, name: str, frames: NDArray[np.uint8]) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantize_static(
            source,
            target,
            _Frames(name, frames),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=OPERATORS,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "AddQDQPairToWeight": True,
                "QuantizeBias": False,
                "CalibMovingAverage": True,
            },
        )


class _Frames:
    """What ONNX Runtime calls a CalibrationDataReader."""

    def __init__(self, name: str, frames: NDArray[np.uint8]) -> None:
        self._feeds: Iterator[dict[str, NDArray[np.uint8]]] = ({name: frame[None]} for frame in frames)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        return next(self._feeds, None)


def _check_zero_points(proto: onnx.ModelProto) -> None:
    values = {tensor.name: tensor for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and len(node.input) > 2:
            zero = numpy_helper.to_array(values[node.input[2]])
            if zero.any() or zero.dtype != np.int8:
                raise ExportError(
                    f"every zero point must be int8 0 for TensorRT, but that of {node.name} is not; export fp16 instead"
                )
