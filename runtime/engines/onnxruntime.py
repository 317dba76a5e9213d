"""ONNX Runtime on the CPU: runs model.onnx as it is, everywhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Artifact, Bundle
from runtime.engines.base import EngineInfo
from runtime.errors import EngineError, EngineMissing

TARGETS = ("onnx",)


def version() -> str:
    """The installed version. Raises EngineMissing with the install line."""
    return str(_import().__version__)


class OnnxRuntimeEngine:
    """Threads pinned, one thread of control, no spinning: an idle device stays cool."""

    def __init__(self, bundle: Bundle, artifact: Artifact, threads: int) -> None:
        ort = _import()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(bundle.read(artifact.file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ORT raises its own RuntimeError subclasses, which differ between versions
            raise EngineError(f"ONNX Runtime {ort.__version__} refuses {artifact.file} of {bundle.where}: {error}") from error
        self._input = self._session.get_inputs()[0].name
        self.info = EngineInfo("onnxruntime", ort.__version__, artifact.file, artifact.precision, threads)

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._session.run(None, {self._input: frames})[0]  # type: ignore[no-any-return]

    def close(self) -> None:
        del self._session


def _import():  # type: ignore[no-untyped-def]
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineMissing(f"ONNX Runtime is not installed ({error}). Do: pip install 'edgefs[pc]'") from error
    return onnxruntime
