"""OpenVINO on the CPU: the OpenVINO artefact where the bundle has one, else model.onnx, which it reads itself.

Precision is pinned to the artefact's own: on machines with AMX the default is a silent bf16. A batch of one, the live
case, gets a model of its own with a static shape, which is measurably faster; the dynamic one is compiled when first
used. The requests of the live case have their input bound once: copying a frame into it takes microseconds, wrapping
it in a new tensor for every call 0.1 to 0.2 ms. Where EDGEFS_MODEL_CACHE names a folder, compiled models are kept
there and open in a fifth of the time. Whoever can write to that folder can change what runs: it must be yours alone.
"""

from __future__ import annotations

import io
import os
import queue
import threading
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Artifact, Bundle
from runtime.engines.base import EngineInfo, check_inputs, cpus
from runtime.errors import BundleError, EngineError, EngineMissing

TARGETS = ("openvino", "onnx")
PRECISIONS = ("fp32", "fp16", "int8")
CACHE = "EDGEFS_MODEL_CACHE"


def version() -> str:
    """The installed version. Raises EngineMissing with the install line."""
    return str(_import().__version__).split("-")[0]


@cache
def core() -> Any:
    """OpenVINO's Core, one for the process and never freed. Raises EngineMissing.

    Where the kernel asks for large signal stacks, the CPU plugin of each Core lends one to the thread that loads it,
    and gives back what it found when it goes. Of two Cores freed in the order they were made, the second gives back
    the first's freed one, and the next Ctrl-C is a segmentation fault (seen with 2026.4.1).
    """
    return _import().Core()


class _Bound(NamedTuple):
    """An infer request for one frame with its input and output in plain sight."""

    request: Any
    input: NDArray[np.uint8]
    output: NDArray[np.float32]


class OpenVinoEngine:
    """Latency hint, threads of one call and precision pinned.

    One caller gets one stream. As soon as two call at once there are as many streams as the CPUs bear: small networks
    gain more from two frames side by side than from two threads on one frame.
    """

    def __init__(self, bundle: Bundle, artifact: Artifact, threads: int) -> None:
        self._core: Any = core()
        if artifact.precision not in PRECISIONS:
            raise EngineError(
                f"OpenVINO runs {', '.join(PRECISIONS)}, but {artifact.file} is {artifact.precision}; export it again"
            )
        arithmetic = self._arithmetic(artifact.precision)
        self._options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": arithmetic,
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        if os.environ.get(CACHE):
            self._options["CACHE_DIR"] = os.environ[CACHE]
        self._shape = bundle.preprocess.shape
        self._dim = bundle.dim
        try:
            self._model: Any = self._read(bundle, artifact)
            self._idle: Any = self._requests(1)
        except BundleError:
            raise
        except Exception as error:  # RuntimeError mostly, but its frontends raise others
            why = " ".join(str(error).split())
            raise EngineError(
                f"OpenVINO {version()} refuses {artifact.file} of {bundle.where}: {why}; try another engine"
            ) from error
        self._most_streams = max(1, cpus() // threads)
        self._many: Any = None
        self._lock = threading.Lock()  # an infer request serves one caller at a time
        self.info = EngineInfo("openvino", version(), artifact.file, artifact.precision, threads, arithmetic=arithmetic)

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        check_inputs(frames, self._shape)
        if not len(frames):
            return np.zeros((0, self._dim), np.float32)
        try:
            return self._embed_one(frames) if len(frames) == 1 else self._embed_many(frames)
        except Exception as error:  # also AttributeError: closed
            raise EngineError(
                f"OpenVINO cannot run {self.info.artifact}, or was closed: {error}; open it again"
            ) from error

    def close(self) -> None:
        with self._lock:
            self._idle = self._many = self._model = self._core = None

    def _embed_one(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        idle = self._idle
        try:
            bound = idle.get_nowait()
        except queue.Empty:
            idle = self._widened()
            bound = idle.get()
        try:
            np.copyto(bound.input, frames)
            bound.request.start_async()
            bound.request.wait()
            return np.array(bound.output)
        finally:
            idle.put(bound)

    def _embed_many(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        with self._lock:
            if self._many is None:
                self._many = self._compile(-1).create_infer_request()
            self._many.infer({0: np.ascontiguousarray(frames)}, share_inputs=True)
            return self._many.get_output_tensor().data.copy()  # type: ignore[no-any-return]

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

    def _compile(self, batch: int, streams: int = 1) -> Any:
        model = self._model.clone()
        model.reshape([batch, *self._shape])
        threads = self._options["INFERENCE_NUM_THREADS"] * streams
        options = {**self._options, "NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": threads}
        return self._core.compile_model(model, "CPU", options)

    def _requests(self, streams: int) -> queue.LifoQueue[_Bound]:
        """Bound requests of a model compiled for so many callers; more than those wait for one to come back."""
        compiled, idle = self._compile(1, streams), queue.LifoQueue[_Bound]()
        for _ in range(streams):
            idle.put(self._bind(compiled))
        return idle

    def _widened(self) -> Any:
        with self._lock:
            if self._most_streams > 1:
                self._idle, self._most_streams = self._requests(self._most_streams), 1
            return self._idle

    def _bind(self, compiled: Any) -> _Bound:
        request, frame = compiled.create_infer_request(), np.empty((1, *self._shape), np.uint8)
        request.set_input_tensor(_import().Tensor(frame, shared_memory=True))
        return _Bound(request, frame, request.get_output_tensor().data)


def _import() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise EngineMissing(f"OpenVINO is not installed ({error}). Do: pip install 'edgefs[pc]'") from error
    return openvino
