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

from exporters.errors import ExportError, ToolMissing
from exporters.targets.nncf_int8 import import_nncf, quantised, rescued
from exporters.targets.target import Candidate
from runtime.engines.openvino import core


def require(precisions: Sequence[str]) -> None:
    """Raise ToolMissing unless everything these precisions need is installed."""
    _import()
    if "int8" in precisions:
        import_nncf()


def to_openvino(
    model: bytes,
    precision: str,
    *,
    calibration: NDArray[np.uint8] | None = None,
    rescue: bool = False,
) -> Candidate:
    """Convert an ONNX file of ours to an IR.

    calibration: `uint8 [N, H, W, C]`, needed for int8.  rescue: int8 whose worst layers stay in float32.
    Raises ToolMissing or ExportError naming what OpenVINO objects to.
    """
    openvino = _import()
    try:
        network, remark = core().read_model(io.BytesIO(model)), ""
        if precision == "int8":
            if calibration is None:
                raise ExportError("int8 needs pictures to calibrate with; name them with --calibrate FOLDER or VIDEO")
            network, remark = rescued(network, calibration) if rescue else (quantised(network, calibration), "")
        network.set_rt_info(precision, ["edgefs", "precision"])
        network.set_rt_info("uint8 NHWC, BGR or grey", ["edgefs", "input"])
        if precision == "int8":
            network.set_rt_info(
                f"NNCF {import_nncf().__version__} post-training {remark}".strip(), ["edgefs", "quantisation"]
            )
        xml, weights = _serialised(openvino, network, half=precision == "fp16")
    except ExportError:
        raise
    except Exception as error:  # OpenVINO's frontends and NNCF raise RuntimeError, TypeError and their own
        raise ExportError(f"OpenVINO {openvino.__version__} refuses the {precision} model: {error}") from error
    file = f"openvino/{precision}/model.xml"
    return Candidate("openvino", precision, file, {file: xml, file.replace(".xml", ".bin"): weights}, remark)


def _serialised(openvino: Any, network: Any, *, half: bool) -> tuple[bytes, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        openvino.save_model(network, path, compress_to_fp16=half)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def _import() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise ToolMissing(f"OpenVINO artefacts need openvino, but {error}; do: pip install 'edgefs[export]'") from error
    return openvino
