"""ONNX Runtime on the CPU: runs model.onnx as it is, everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Artifact, Bundle
from runtime.engines.base import EngineInfo, check_inputs
from runtime.errors import BundleError, EngineError, EngineMissing

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
        if artifact.precision != "int8":  # weights stored as int8 are unpacked once, not for every frame
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        try:
            self._session: Any = ort.InferenceSession(
                bundle.read(artifact.file), options, providers=["CPUExecutionProvider"]
            )
        except BundleError:
            raise
        except Exception as error:  # ORT raises its own RuntimeError subclasses, which differ between versions
            why = " ".join(str(error).split())
            raise EngineError(
                f"ONNX Runtime {ort.__version__} refuses {artifact.file} of {bundle.where}: {why}; try another engine"
            ) from error
        self._dim = bundle.dim
        self._shape = bundle.preprocess.shape
        self._input = self._session.get_inputs()[0].name
        self.info = EngineInfo("onnxruntime", ort.__version__, artifact.file, artifact.precision, threads)

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        check_inputs(frames, self._shape)
        if not len(frames):
            return np.zeros((0, self._dim), np.float32)
        try:
            return self._session.run(None, {self._input: frames})[0]  # type: ignore[no-any-return]
        except Exception as error:  # also AttributeError: closed
            raise EngineError(
                f"ONNX Runtime cannot run {self.info.artifact}, or was closed: {error}; open it again"
            ) from error

    def close(self) -> None:
        self._session = None


def _import() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineMissing(f"ONNX Runtime is not installed ({error}). Do: pip install 'edgefs[pc]'") from error
    return onnxruntime
