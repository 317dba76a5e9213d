"""OpenVINO IR in three precisions, from the float32 ONNX, as bytes for a bundle.

fp32 and fp16 differ in how weights are stored; the engine pins the arithmetic to the artefact's precision. int8 is NNCF
post-training quantisation on the OpenVINO model. The batch stays dynamic in the file: the engine fixes it to one for
the live case, where static shapes are faster.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.candidate import Candidate
from exporters.errors import ExportError, ToolMissing
from exporters.quiet import quiet
from runtime.engines import agreement

SUBSET = 300  # calibration frames: more change nothing, fewer cost accuracy
JUDGED, RANKED = 64, 16  # frames that judge the whole model, and one layer
MAX_DROP = 0.005  # of the mean cosine to float32; plain int8 of MobileNetV2 loses 0.018
TALKERS = ("nncf", "torch.utils.cpp_extension")
MAX_REVERTED = 12  # layers put back to float32 at most


def require(precisions: Sequence[str]) -> None:
    """Raise ToolMissing unless everything these precisions need is installed."""
    _import("openvino")
    if "int8" in precisions:
        _import("nncf")


def to_openvino(
    model: bytes,
    precision: str,
    *,
    calibration: NDArray[np.uint8] | None = None,
    method: str = "plain",
) -> Candidate:
    """Convert an ONNX file of ours to an IR.

    calibration: `uint8 [N, H, W, C]`, needed for int8.  method: "plain", or "accuracy-aware" (int8 only, minutes).
    Raises ToolMissing or ExportError naming what OpenVINO objects to.
    """
    openvino = _import("openvino")
    try:
        network = openvino.Core().read_model(io.BytesIO(model))
        if precision == "int8":
            if calibration is None:
                raise ExportError("int8 needs pictures to calibrate with; name them with --calibrate FOLDER or VIDEO")
            network = _quantised(network, calibration, method)
    except ExportError:
        raise
    except Exception as error:  # OpenVINO's frontends and NNCF raise RuntimeError, TypeError and their own
        raise ExportError(f"OpenVINO {openvino.__version__} refuses the {precision} model: {error}") from error
    network.set_rt_info(precision, ["edgefs", "precision"])
    network.set_rt_info("uint8 NHWC, BGR or grey", ["edgefs", "input"])
    if precision == "int8":
        network.set_rt_info(f"NNCF {_import('nncf').__version__} post-training, {method}", ["edgefs", "quantisation"])
    xml, weights = _serialised(openvino, network, half=precision == "fp16")
    folder = f"openvino/{precision}"
    return Candidate(
        "openvino", precision, f"{folder}/model.xml", {f"{folder}/model.xml": xml, f"{folder}/model.bin": weights}
    )


def _quantised(network: Any, frames: NDArray[np.uint8], method: str) -> Any:
    nncf = _import("nncf")
    frames = frames[np.linspace(0, len(frames) - 1, min(SUBSET, len(frames))).astype(int)]
    dataset = nncf.Dataset([frame[None] for frame in frames])
    # head and tail stay float32: quantised lengths of 0 would make NaN of an embedding
    ignored = nncf.IgnoredScope(patterns=["edgefs/.*", "embeddings"], validate=False)
    with quiet(*TALKERS):
        if method == "plain":
            return nncf.quantize(network, dataset, subset_size=len(frames), ignored_scope=ignored)
        return nncf.quantize_with_accuracy_control(
            network,
            dataset,
            nncf.Dataset([frame[None] for frame in frames[:: max(1, len(frames) // JUDGED)]]),
            _cosine_to_float32(network),
            max_drop=MAX_DROP,
            drop_type=nncf.DropType.ABSOLUTE,
            subset_size=len(frames),
            ignored_scope=ignored,
            advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
                max_num_iterations=MAX_REVERTED, ranking_subset_size=RANKED
            ),
        )


def _cosine_to_float32(network: Any) -> Any:
    """What NNCF asks for: a model and frames -> the mean cosine to float32, and each frame's.

    The calibration frames judge it, not those the artefact is verified on: nothing is tuned on what measures it.
    """
    import openvino

    reference = openvino.Core().compile_model(network.clone(), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    expected: dict[bytes, NDArray[np.float32]] = {}

    def judge(model: Any, frames: Any) -> tuple[float, list[float]]:
        cosines = []
        for frame in frames:
            key = frame.tobytes()
            if key not in expected:
                expected[key] = reference(frame)[0].copy()
            cosines.append(float(agreement(model(frame)[0], expected[key])[0]))
        return float(np.mean(cosines)), cosines

    return judge


def _serialised(openvino: Any, network: Any, *, half: bool) -> tuple[bytes, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        openvino.save_model(network, path, compress_to_fp16=half)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def _import(name: str) -> Any:
    try:
        with quiet(*TALKERS):
            return __import__(name)
    except ImportError as error:
        raise ToolMissing(f"OpenVINO artefacts need {name}, but {error}; do: pip install 'edgefs[export]'") from error
