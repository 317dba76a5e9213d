"""The target "openvino": OpenVINO IR in three precisions, from the float32 ONNX file.

fp32 and fp16 differ in how weights are stored; the engine fixes the arithmetic to the artifact's precision. int8 is
NNCF's post-training quantisation of the OpenVINO model. The batch size stays dynamic in the file; for the live case
the engine fixes it to one, because static shapes are faster.
"""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path
from typing import Any

import onnx

from exporters.errors import ExportError
from exporters.targets.nncf_int8 import import_nncf, quantised, quantised_except_worst
from exporters.targets.request import Request
from exporters.targets.target import Candidate, Target
from exporters.tools import load_tool
from runtime.engines.openvino import core


def check(request: Request) -> None:
    """Raise ToolMissing unless everything these precisions need is installed."""
    _openvino()
    if "int8" in request.precisions:
        import_nncf()


def build(model: bytes, precision: str, request: Request, *, spare_worst: bool = False) -> Candidate:
    """Build one artifact.

    Args:
        model: The float32 ONNX file.
        precision: "fp32", "fp16" or "int8".
        request: Its calibration frames are used for int8.
        spare_worst: Whether the layers that lose most from int8 stay in float32.

    Raises:
        ToolMissing: OpenVINO or NNCF is not installed.
        ExportError: OpenVINO refuses the model.
    """
    openvino = _openvino()
    try:
        network, remark = core().read_model(io.BytesIO(model)), ""
        if precision == "int8":
            if spare_worst:
                network, remark = quantised_except_worst(network, request.calibration_frames)
            else:
                network = quantised(network, request.calibration_frames)
            made = f"NNCF {import_nncf().__version__} post-training {remark}".strip()
            network.set_rt_info(made, ["edgefs", "quantisation"])
        network.set_rt_info(precision, ["edgefs", "precision"])
        proto = onnx.load_from_string(model)
        for entry in proto.metadata_props:  # the whole contract: preprocess, metric, input
            if entry.key.startswith("edgefs."):
                network.set_rt_info(entry.value, entry.key.split("."))
        _name_layers(network, proto.graph)
        xml, weights = _serialised(openvino, network, half=precision == "fp16")
    except ExportError:
        raise
    except Exception as error:  # OpenVINO's frontends and NNCF raise RuntimeError, TypeError and their own
        raise ExportError(f"OpenVINO {openvino.__version__} refuses the {precision} model: {error}") from error
    file = f"openvino/{precision}/model.xml"
    return Candidate("openvino", precision, file, {file: xml, file.replace(".xml", ".bin"): weights}, remark)


def build_again(model: bytes, precision: str, request: Request) -> Candidate | None:
    """Build int8 once more, with the layers that lose most from it in float32."""
    return build(model, precision, request, spare_worst=True) if precision == "int8" else None


def _name_layers(network: Any, graph: onnx.GraphProto) -> None:
    """Number the layers without a name in the ONNX graph; OpenVINO numbers them by a counter of the whole process."""
    known = {node.name for node in graph.node} | {name for node in graph.node for name in node.output}
    for i, op in enumerate(network.get_ordered_ops()):
        kind, name = op.get_type_name(), op.get_friendly_name()
        if name not in known and re.fullmatch(r"[A-Za-z]+_\d+", name):
            op.set_friendly_name(f"{kind}.{i}")


def _serialised(openvino: Any, network: Any, *, half: bool) -> tuple[bytes, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        openvino.save_model(network, path, compress_to_fp16=half)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def _openvino() -> Any:
    return load_tool("openvino", "the target openvino")


TARGET = Target(build, check, build_again)
