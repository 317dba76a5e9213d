"""ONNX Runtime on the CPU. It runs the model.onnx of every bundle."""

from __future__ import annotations

from typing import Any

from runtime.bundle import Artifact, Bundle
from runtime.engines.base import EngineInfo, EngineSpec, import_library
from runtime.engines.onnxruntime_session import SessionEngine

INSTALL = "Do: pip install 'edgefs[pc]'"


def version() -> str:
    """Return the installed version. Raises EngineMissing with the install line."""
    return str(_import().__version__)


class OnnxRuntimeEngine(SessionEngine):
    """Runs with a fixed number of threads that do not spin, so that an idle device uses no CPU."""

    def __init__(self, bundle: Bundle, artifact: Artifact, threads: int) -> None:
        ort = _import()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if artifact.precision != "int8":  # weights stored as int8 are converted once, not for every frame
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        super().__init__(ort, bundle, artifact, options, ["CPUExecutionProvider"])
        self.info = EngineInfo("onnxruntime", ort.__version__, artifact.file, artifact.precision, threads)


def _import() -> Any:
    return import_library("onnxruntime", "ONNX Runtime", INSTALL)


ENGINE = EngineSpec("ONNX Runtime", ("onnx",), OnnxRuntimeEngine, version, INSTALL, cpu=True)
