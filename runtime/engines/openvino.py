"""OpenVINO on the CPU: the OpenVINO artefact where the bundle has one, else model.onnx, which it reads itself.

Precision is pinned to the artefact's own: on machines with AMX the default is a silent bf16. A batch of one, the live
case, gets a model of its own with a static shape, which is measurably faster; the dynamic one is compiled when first
used. Where EDGEFS_MODEL_CACHE names a folder, compiled models are kept there and open in a fifth of the time. Whoever
can write to that folder can change what runs: it must be yours alone.
"""

from __future__ import annotations

import io
import os
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Artifact, Bundle
from runtime.engines.base import EngineInfo, check_inputs
from runtime.errors import BundleError, EngineError, EngineMissing

TARGETS = ("openvino", "onnx")
PRECISIONS = ("fp32", "fp16", "int8")
CACHE = "EDGEFS_MODEL_CACHE"


def version() -> str:
    """The installed version. Raises EngineMissing with the install line."""
    return str(_import().__version__).split("-")[0]


class OpenVinoEngine:
    """Latency hint, one stream, threads and precision pinned."""

    def __init__(self, bundle: Bundle, artifact: Artifact, threads: int) -> None:
        self._core = _import().Core()
        if artifact.precision not in PRECISIONS:
            raise EngineError(
                f"OpenVINO runs {', '.join(PRECISIONS)}, but {artifact.file} is {artifact.precision}; export it again"
            )
        arithmetic = self._arithmetic(artifact.precision)
        self._options = {
            "INFERENCE_PRECISION_HINT": arithmetic,
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        if os.environ.get(CACHE):
            self._options["CACHE_DIR"] = os.environ[CACHE]
        self._shape = bundle.preprocess.shape
        self._dim = bundle.dim
        try:
            self._model: Any = self._read(bundle, artifact)
            self._single: Any = self._compile(1)
        except BundleError:
            raise
        except Exception as error:  # RuntimeError mostly, but its frontends raise others
            why = " ".join(str(error).split())
            raise EngineError(
                f"OpenVINO {version()} refuses {artifact.file} of {bundle.where}: {why}; try another engine"
            ) from error
        self._many: Any = None
        self._lock = threading.Lock()  # an infer request serves one caller at a time
        self.info = EngineInfo("openvino", version(), artifact.file, artifact.precision, threads, arithmetic=arithmetic)

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        check_inputs(frames, self._shape)
        if not len(frames):
            return np.zeros((0, self._dim), np.float32)
        with self._lock:
            try:
                if len(frames) > 1 and self._many is None:
                    self._many = self._compile(-1)
                request = self._single if len(frames) == 1 else self._many
                request.infer({0: np.ascontiguousarray(frames)}, share_inputs=True)
                return request.get_output_tensor().data.copy()  # type: ignore[no-any-return]
            except Exception as error:  # also AttributeError: closed
                raise EngineError(
                    f"OpenVINO cannot run {self.info.artifact}, or was closed: {error}; open it again"
                ) from error

    def close(self) -> None:
        with self._lock:
            self._single = self._many = self._model = self._core = None

    def _arithmetic(self, precision: str) -> str:
        """What to compute in. A CPU without float16 would take bfloat16 for it (cosine 0.990 to fp32), so it gets f32.

        The layers of int8 models are int8 by their own quantisers; the rest of them is float32.
        """
        halves = precision == "fp16" and "FP16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return "f16" if halves else "f32"

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
