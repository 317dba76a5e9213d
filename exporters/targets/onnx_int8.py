"""Quantise an ONNX file to int8 with explicit quantisers (Q/DQ), by ONNX Runtime's static quantisation."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from exporters.errors import ExportError
from exporters.quiet import quiet
from exporters.tools import load_tool

OPERATORS = ["Conv", "Gemm", "MatMul"]  # head and tail stay float32


def quantise(model: onnx.ModelProto, frames: NDArray[np.uint8], *, activations: str, **options: Any) -> onnx.ModelProto:
    """Quantise convolutions and matrix products, with int8 weights per output channel.

    Args:
        model: The float32 model, with one input.
        frames: Calibration frames, `uint8 [N, H, W, C]`, fed one at a time.
        activations: Type of the activations: "QUInt8" or "QInt8".
        options: ONNX Runtime's `extra_options`.

    Raises:
        ExportError: ONNX Runtime cannot quantise the model.
        ToolMissing: ONNX Runtime is not installed.
    """
    quantisation = load_tool("onnxruntime.quantization", "int8 ONNX")
    with tempfile.TemporaryDirectory() as folder, quiet(""):
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, source)
        try:
            quantisation.quantize_static(
                source,
                target,
                _CalibrationReader(model.graph.input[0].name, frames),
                quant_format=quantisation.QuantFormat.QDQ,
                op_types_to_quantize=OPERATORS,
                per_channel=True,
                activation_type=quantisation.QuantType[activations],
                weight_type=quantisation.QuantType.QInt8,
                extra_options=options,
            )
        except Exception as error:  # ONNX Runtime raises its own kinds, TypeError and ValueError
            raise ExportError(f"ONNX Runtime cannot quantise this network: {error}; leave int8 out") from error
        return onnx.load(target)


class _CalibrationReader:
    """Implements ONNX Runtime's CalibrationDataReader."""

    def __init__(self, name: str, frames: NDArray[np.uint8]) -> None:
        self._feeds: Iterator[dict[str, NDArray[np.uint8]]] = ({name: frame[None]} for frame in frames)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        return next(self._feeds, None)
