"""Reduced precisions of model.onnx for ONNX Runtime on a CPU. (TensorRT wants others: `half.py` and `qdq.py`.)"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from exporters.errors import ExportError, ToolMissing
from exporters.onnx.weight_storage import store_weights
from exporters.quiet import quiet
from exporters.targets.target import Candidate

SUBSET = 100  # calibration frames: ONNX Runtime keeps every activation of each in turn, and converges early
HEAVY = ["Conv", "Gemm", "MatMul"]  # head and tail stay float32


def to_onnx_cpu(model: bytes, precision: str, *, calibration: NDArray[np.uint8] | None = None) -> Candidate:
    """Convert an ONNX file of ours.

    fp16: weights stored as float16, computed in float32, because a CPU does not compute in float16.
    int8: uint8 activations, int8 weights per channel, as explicit quantisers; calibration: `uint8 [N, H, W, C]`.
    Raises ExportError or ToolMissing.
    """
    if precision == "fp32":
        return Candidate("onnx", "fp32", "model.onnx", {"model.onnx": model})
    file = f"onnx/{precision}/model.onnx"
    if precision == "fp16":
        proto = onnx.load_from_string(model)
        store_weights(proto, "fp16")
        return Candidate("onnx", "fp16", file, {file: proto.SerializeToString()})
    if calibration is None:
        raise ExportError("int8 needs pictures to calibrate with; name them with --calibrate FOLDER or VIDEO")
    return Candidate("onnx", "int8", file, {file: _quantised(model, calibration)})


def _quantised(model: bytes, frames: NDArray[np.uint8]) -> bytes:
    try:
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    except ImportError as error:
        raise ToolMissing(f"int8 ONNX needs onnxruntime, but {error}; do: pip install 'edgefs[export]'") from error
    frames = frames[np.linspace(0, len(frames) - 1, min(SUBSET, len(frames))).astype(int)]
    with tempfile.TemporaryDirectory() as folder, quiet(""):
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(model)
        try:
            quantize_static(
                source,
                target,
                _Frames(frames),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=HEAVY,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        except Exception as error:  # ONNX Runtime raises its own kinds, TypeError and ValueError
            raise ExportError(f"ONNX Runtime cannot quantise this model: {error}; leave int8 out for onnx") from error
        return target.read_bytes()


class _Frames:
    """What ONNX Runtime calls a CalibrationDataReader."""

    def __init__(self, frames: NDArray[np.uint8]) -> None:
        self._feeds: Iterator[dict[str, NDArray[np.uint8]]] = ({"frames": frame[None]} for frame in frames)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        return next(self._feeds, None)
