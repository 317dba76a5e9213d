"""ONNX Runtime on an NVIDIA GPU: its TensorRT provider where it works, else its CUDA provider; never silently the CPU.

The second way onto the GPU, for a bundle without a plan for this machine. The TensorRT provider links TensorRT 10 and
builds its engine when it is opened, which takes a minute or more; ask for it by name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Artifact, Bundle
from runtime.engines.base import EngineInfo, check_inputs
from runtime.engines.cuda import Cuda
from runtime.errors import BundleError, EngineError, EngineMissing

TARGETS = ("onnx",)
_TENSORRT, _CUDA = "TensorrtExecutionProvider", "CUDAExecutionProvider"
_NAMES = {_TENSORRT: "onnxruntime-tensorrt", _CUDA: "onnxruntime-cuda"}
# float32 means float32; no engine cache: a cached engine is code that nobody has checked
_OPTIONS: dict[str, dict[str, Any]] = {
    _TENSORRT: {"trt_engine_cache_enable": False, "trt_timing_cache_enable": False},
    _CUDA: {"use_tf32": 0},
}


def version() -> str:
    """The installed version. Raises EngineMissing with the install line, or without a GPU."""
    ort = _import()
    Cuda().close()
    return str(ort.__version__)


class OnnxRuntimeGpuEngine:
    """The first provider that really takes the model: `get_providers()` is asked, because the fall-back is quiet."""

    def __init__(self, bundle: Bundle, artifact: Artifact, threads: int) -> None:
        ort = _import()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        wanted = [name for name in _OPTIONS if name in ort.get_available_providers()]
        try:
            self._session: Any = ort.InferenceSession(
                bundle.read(artifact.file), options, providers=[(name, _OPTIONS[name]) for name in wanted]
            )
        except BundleError:
            raise
        except Exception as error:  # its own RuntimeError subclasses, which differ between versions
            raise EngineError(
                f"ONNX Runtime {ort.__version__} refuses {artifact.file} on the GPU: {error}; use engine onnxruntime"
            ) from error
        taken = self._session.get_providers()[0]
        if taken not in wanted:
            raise EngineError(
                f"ONNX Runtime {ort.__version__} must run on {' or '.join(wanted)}, but fell back to {taken}: "
                "the CUDA, cuDNN or TensorRT it was built for is missing; install those, or use engine onnxruntime"
            )
        self._shape, self._dim = bundle.preprocess.shape, bundle.dim
        self._input = self._session.get_inputs()[0].name
        self.info = EngineInfo(_NAMES[taken], ort.__version__, artifact.file, artifact.precision, threads)

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        check_inputs(frames, self._shape)
        if not len(frames):
            return np.zeros((0, self._dim), np.float32)
        try:
            embeddings: NDArray[np.float32] = self._session.run(None, {self._input: frames})[0]
            return embeddings
        except Exception as error:  # also AttributeError: closed
            raise EngineError(f"{self.info.name} cannot run, or was closed: {error}; open it again") from error

    def close(self) -> None:
        self._session = None


def _import() -> Any:
    line = "On a Jetson take the wheel for its JetPack; else do: pip install onnxruntime-gpu (instead of onnxruntime)"
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineMissing(f"ONNX Runtime for GPUs is not installed ({error}). {line}") from error
    if not set(_OPTIONS) & set(onnxruntime.get_available_providers()):
        raise EngineMissing(f"this ONNX Runtime {onnxruntime.__version__} was built without CUDA. {line}")
    return onnxruntime
