"""OpenVINO on the CPU: the OpenVINO artefact where the bundle has one, else model.onnx, which it reads itself.

Precision is pinned to the artefact's own: on machines with AMX the default is a silent bf16. A batch of one, the live
case, gets a model of its own with a static shape, which is measurably faster; the dynamic one is compiled when first used.
"""

from __future__ import annotations

import io
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Artifact, Bundle
from runtime.engines.base import EngineInfo
from runtime.errors import EngineError, EngineMissing

TARGETS = ("openvino", "onnx")
_HINTS = {"fp32": "f32", "fp16": "f16", "int8": "f32"}  # int8 layers are int8 by their own quantisers; the rest is float


def version() -> str:
    """The installed version. Raises EngineMissing with the install line."""
    return str(_import().__version__).split("-")[0]


class OpenVinoEngine:
    """Latency hint, one stream, threads and precision pinned."""

    def __init__(self, bundle: Bundle, artifact: Artifact, threads: int) -> None:
        self._ov = _import()
        self._core = self._ov.Core()
        self._options = {
            "INFERENCE_PRECISION_HINT": _HINTS[artifact.precision],
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        self._shape = bundle.preprocess.shape
        try:
            self._model = self._read(bundle, artifact)
            self._single = self._compile(1)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO {version()} refuses {artifact.file} of {bundle.where}: {error}") from error
        self._many: Any = None
        self._lock = threading.Lock()  # an infer request serves one caller at a time
        self.info = EngineInfo("openvino", version(), artifact.file, artifact.precision, threads)

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        with self._lock:
            if len(frames) == 1:
                request = self._single
            else:
                request = self._many = self._many or self._compile(-1)
            request.infer({0: np.ascontiguousarray(frames)}, share_inputs=True)
            return request.get_output_tensor().data.copy()  # type: ignore[no-any-return]

    def close(self) -> None:
        del self._single, self._many, self._model, self._core

    def _read(self, bundle: Bundle, artifact: Artifact) -> Any:
        data = bundle.read(artifact.file)
        if artifact.target == "onnx":
            return self._core.read_model(io.BytesIO(data))
        return self._core.read_model(data, bundle.read(artifact.file.removesuffix(".xml") + ".bin"))

    def _compile(self, batch: int) -> Any:
        model = self._model.clone()
        model.reshape([batch, *self._shape])
        return self._core.compile_model(model, "CPU", self._options).create_infer_request()


def _import() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise EngineMissing(f"OpenVINO is not installed ({error}). Do: pip install 'edgefs[pc]'") from error
    return openvino
