"""The ONNX file a TensorRT plan of some precision is built from, every type written out, checked on this CPU.

The check is numeric: ONNX Runtime embeds the same frames with both files. It cannot say how well a precision recognises
(verification does), but a file that is wrong here is wrong everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from exporters.errors import ExportError, ToolMissing
from exporters.onnx.float16 import name_nodes, to_half
from exporters.onnx.weight_storage import with_float_weights
from exporters.targets.qdq import to_int8
from exporters.targets.target import PRECISIONS
from runtime.engines import agreement

FLOOR = {"fp32": 0.99999, "fp16": 0.999, "int8": 0.5}  # int8 may move an embedding far and still recognise; not so far
CHECKED = 8  # frames
CHUNK = 16  # at once: bounds memory


@dataclass(frozen=True)
class TypedModel:
    """data: the ONNX file.  input: its input's name.  min_cosine: its worst agreement with the float32 file.

    converted: whether it is another file than model.onnx, apart from names.
    """

    precision: str
    data: bytes
    input: str
    min_cosine: float
    converted: bool


def typed_model(
    model: bytes,
    precision: str,
    *,
    shape: tuple[int, int, int],
    calibration: NDArray[np.uint8] | None = None,
    for_flags: bool = False,
) -> TypedModel:
    """Convert the float32 file `uint8 [N, H, W, C] -> float32 [N, D]` to a precision and check it.

    for_flags: builder flags will lower what is float32, so fp16 leaves the file as it is.
    shape: (H, W, C).  calibration: `uint8 [N, H, W, C]` real frames; needed for int8, welcome for the check.
    Raises ExportError; ToolMissing without ONNX Runtime.
    """
    _check_request(precision, shape, calibration)
    if precision == "int8" and calibration is not None:
        data = to_int8(model, calibration)
    elif precision == "fp16" and not for_flags:
        data = to_half(model)
    else:
        data = _plain(model)
    frames = calibration if calibration is not None and len(calibration) else _noise(shape)
    worst = float(agreement(run_on_cpu(model, frames[:CHECKED]), run_on_cpu(data, frames[:CHECKED])).min())
    if not worst >= FLOOR[precision]:
        raise ExportError(
            f"{precision} must keep a cosine of {FLOOR[precision]} to float32 on the CPU, but the worst is {worst:.5f}"
            "; leave this precision out"
        )
    converted = precision == "int8" or (precision == "fp16" and not for_flags)
    return TypedModel(precision, data, onnx.load_from_string(data).graph.input[0].name, worst, converted)


def _check_request(precision: str, shape: tuple[int, int, int], calibration: NDArray[np.uint8] | None) -> None:
    try:
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ToolMissing(
            f"a TensorRT plan needs onnxruntime to be checked, but {error}; do: pip install 'edgefs[export]'"
        ) from error
    if precision not in PRECISIONS:
        raise ExportError(f"precision must be one of {', '.join(PRECISIONS)}, but is {precision!r}")
    if calibration is not None and (calibration.dtype != np.uint8 or calibration.shape[1:] != shape):
        raise ExportError(
            f"calibration frames must be uint8 [N, *{shape}], but are {calibration.dtype} {calibration.shape}"
        )
    if precision == "int8" and calibration is None:
        raise ExportError("int8 needs calibration frames, but has none; give some with --calibrate FOLDER|VIDEO")


def run_on_cpu(model: bytes, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Embed `uint8 [N, H, W, C]`, N from 1, with ONNX Runtime. Raises ExportError."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # As the file is written: fused int8 kernels saturate on processors without VNNI, others crash on a float16 ViT.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        parts = [session.run(None, {name: frames[i : i + CHUNK]})[0] for i in range(0, len(frames), CHUNK)]
    except Exception as error:  # its own RuntimeError subclasses, which differ between versions
        raise ExportError(f"ONNX Runtime must run the file, but cannot: {error}; leave this precision out") from error
    return np.concatenate(parts)


def _plain(model: bytes) -> bytes:
    proto = with_float_weights(onnx.load_from_string(model))
    name_nodes(proto.graph)
    return bytes(proto.SerializeToString())


def _noise(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
