"""ONNX Runtime on an NVIDIA GPU: its TensorRT provider if that works, else its CUDA provider, but never the CPU.

This engine is for a bundle that has no TensorRT plan for this machine. The TensorRT provider links TensorRT 10 and
builds its plan when it is opened, which takes a minute or more, so `engine="auto"` does not choose it.
"""

from __future__ import annotations

from typing import Any

from runtime.bundle import Artifact, Bundle
from runtime.engines.base import EngineInfo, EngineSpec, import_library
from runtime.engines.nvidia.cuda import Cuda
from runtime.engines.onnxruntime_session import SessionEngine
from runtime.errors import EngineError, EngineMissing

TITLE = "ONNX Runtime for GPUs"
INSTALL = "On a Jetson take the wheel for its JetPack; else do: pip install onnxruntime-gpu (instead of onnxruntime)"
_TENSORRT, _CUDA = "TensorrtExecutionProvider", "CUDAExecutionProvider"
_NAMES = {_TENSORRT: "onnxruntime-tensorrt", _CUDA: "onnxruntime-cuda"}
# TF32 is off, so that float32 is really computed. Plans are not cached, because a cached plan is unchecked code.
_OPTIONS: dict[str, dict[str, Any]] = {
    _TENSORRT: {"trt_engine_cache_enable": False, "trt_timing_cache_enable": False},
    _CUDA: {"use_tf32": 0},
}


def version() -> str:
    """Return the installed version. Raises EngineMissing if the library or a GPU is missing."""
    ort = _import()
    Cuda().close()
    return str(ort.__version__)


class OnnxRuntimeGpuEngine(SessionEngine):
    """Runs on the first provider that accepts the model.

    ONNX Runtime falls back to the CPU without an error, so the provider in use is read from the session and checked.
    """

    def __init__(self, bundle: Bundle, artifact: Artifact, threads: int) -> None:
        ort = _import()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        wanted = [name for name in _OPTIONS if name in ort.get_available_providers()]
        super().__init__(ort, bundle, artifact, options, [(name, _OPTIONS[name]) for name in wanted])
        provider = self._session.get_providers()[0]
        if provider not in wanted:
            raise EngineError(
                f"ONNX Runtime {ort.__version__} must run on {' or '.join(wanted)}, but fell back to {provider}: "
                "the CUDA, cuDNN or TensorRT it was built for is missing; install those, or use engine onnxruntime"
            )
        self.info = EngineInfo(_NAMES[provider], ort.__version__, artifact.file, artifact.precision, threads)


def _import() -> Any:
    onnxruntime = import_library("onnxruntime", TITLE, INSTALL)
    if not set(_OPTIONS) & set(onnxruntime.get_available_providers()):
        raise EngineMissing(f"this ONNX Runtime {onnxruntime.__version__} was built without CUDA. {INSTALL}")
    return onnxruntime


ENGINE = EngineSpec(TITLE, ("onnx",), OnnxRuntimeGpuEngine, version, INSTALL, auto=False)
