"""OpenVINO on the CPU, or on another device of Intel that was asked for.

It runs the OpenVINO artifact of a bundle, or model.onnx if the bundle has no such artifact.
The arithmetic is set to the artifact's precision: on machines with AMX, OpenVINO would use bf16 by default. A batch of
one, the live case, is compiled with a static shape, which is faster; the dynamic model is compiled at its first use.
The requests of the live case bind their input array once: copying a frame into it takes microseconds, while wrapping
a frame in a new tensor takes 0.1 to 0.2 ms. If EDGEFS_MODEL_CACHE names a folder, compiled models are stored there and
open in a fifth of the time. Only you should be able to write to that folder, because its files are run as code.
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
from runtime.engines.base import EngineInfo, EngineSpec, check_inputs, cpus, import_library
from runtime.errors import BundleError, EngineError

INSTALL = "Do: pip install 'edgefs[pc]'"
PRECISIONS = ("fp32", "fp16", "int8")
CACHE = "EDGEFS_MODEL_CACHE"
AUTO = "AUTO"  # OpenVINO chooses the device
NPU = "NPU"


def version() -> str:
    """Return the installed version. Raises EngineMissing with the install line."""
    return str(_import().__version__).split("-")[0]


@cache
def core() -> Any:
    """Return OpenVINO's Core: one for the process, never freed. Raises EngineMissing.

    On kernels that need large signal stacks, the CPU plugin of each Core installs one in the thread that loads it, and
    restores the previous one when it is freed. If two Cores are freed in the order in which they were made, the second
    one restores the stack that the first one had freed, and the next Ctrl-C is a segmentation fault (seen with
    2026.4.1).
    """
    return _import().Core()


def devices(asked: str) -> list[str]:
    """Return the devices that may run the model: the one asked for, or all for AUTO. Raises EngineError."""
    if asked == "CPU":  # looking for all devices would load their drivers
        return [asked]
    found = list(core().available_devices)
    if asked == AUTO:
        return found
    if asked not in found and f"{asked}.0" not in found:
        raise EngineError(
            f"the device must be {AUTO} or one that OpenVINO {version()} has here ({', '.join(found)}), but is "
            f"{asked!r}; choose one of them, or install the driver of {asked}"
        )
    return [asked]


class _Bound(NamedTuple):
    """An infer request for one frame, with its input and output arrays."""

    request: Any
    input: NDArray[np.uint8]
    output: NDArray[np.float32]


class OpenVinoEngine:
    """Runs with the latency hint and a fixed number of threads and precision.

    A single caller uses one stream. As soon as two threads call at once, the model is compiled for as many streams as
    there are CPUs for: small networks gain more from two frames in parallel than from two threads on one frame.
    """

    def __init__(self, bundle: Bundle, artifact: Artifact, threads: int, device: str = "CPU") -> None:
        self._core: Any = core()
        if artifact.precision not in PRECISIONS:
            raise EngineError(
                f"OpenVINO runs {', '.join(PRECISIONS)}, but {artifact.file} is {artifact.precision}; export it again"
            )
        self._device, self._devices = device, devices(device)
        self._arithmetic = self._choose_arithmetic(artifact.precision)
        self._threads = threads
        self._options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if os.environ.get(CACHE):
            self._options["CACHE_DIR"] = os.environ[CACHE]
        self._shape = bundle.preprocess.shape
        self._dim = bundle.dim
        try:
            self._model: Any = self._read(bundle, artifact)
            self._idle: Any = self._requests(1)
            runs_on = self._idle.queue[0].request.get_compiled_model().get_property("EXECUTION_DEVICES")
        except BundleError:
            raise
        except Exception as error:  # mostly RuntimeError, but its frontends raise other types
            why = " ".join(str(error).split())
            raise EngineError(
                f"OpenVINO {version()} refuses {artifact.file} of {bundle.where}: {why}; try another engine"
            ) from error
        self._max_streams = max(1, cpus() // threads)
        self._many: Any = None  # the request for batches
        self._lock = threading.Lock()  # an infer request serves one caller at a time
        self.info = EngineInfo(
            *("openvino", version(), artifact.file, artifact.precision, threads),
            arithmetic=self._arithmetic,
            device=", ".join(runs_on),
        )

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Engine.embed`."""
        check_inputs(frames, self._shape)
        if not len(frames):
            return np.zeros((0, self._dim), np.float32)
        try:
            if len(frames) > 1 and NPU in self.info.device:  # it runs static shapes only
                return np.concatenate([self._embed_one(frame[None]) for frame in frames])
            return self._embed_one(frames) if len(frames) == 1 else self._embed_many(frames)
        except Exception as error:  # AttributeError means that the engine was closed
            raise EngineError(
                f"OpenVINO cannot run {self.info.artifact}, or was closed: {error}; open it again"
            ) from error

    def close(self) -> None:
        """See `Engine.close`."""
        with self._lock:
            self._idle = self._many = self._model = self._core = None

    def _embed_one(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        idle = self._idle
        try:
            bound = idle.get_nowait()
        except queue.Empty:
            idle = self._with_more_streams()
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

    def _choose_arithmetic(self, precision: str) -> str:
        """Return the type to compute in, on every device that may run the model.

        On a CPU without float16, OpenVINO would use bfloat16 instead (cosine 0.990 to fp32), so f32 is used there. In
        int8 models the quantised layers are int8 and all others are float32. An NPU has float16 only.
        """
        if self._device.startswith(NPU):
            return "f16"
        capable = all("FP16" in self._core.get_property(name, "OPTIMIZATION_CAPABILITIES") for name in self._devices)
        return "f16" if precision == "fp16" and capable else "f32"

    def _read(self, bundle: Bundle, artifact: Artifact) -> Any:
        data = bundle.read(artifact.file)
        if artifact.target == "onnx":
            return self._core.read_model(io.BytesIO(data))
        return self._core.read_model(data, bundle.read(artifact.file.removesuffix(".xml") + ".bin"))

    def _compile(self, batch: int, streams: int = 1) -> Any:
        model = self._model.clone()
        model.reshape([batch, *self._shape])
        each = {name: self._device_options(name, streams) for name in self._devices}
        if self._device != AUTO:
            return self._core.compile_model(model, self._device, {**self._options, **each[self._device]})
        # Without these the outputs that a request is bound to would be of the device that only started or has failed.
        stay = {"ENABLE_STARTUP_FALLBACK": False, "ENABLE_RUNTIME_FALLBACK": False}
        return self._core.compile_model(model, AUTO, {**self._options, **stay, "DEVICE_PROPERTIES": each})

    def _device_options(self, device: str, streams: int) -> dict[str, Any]:
        """Return the options of a device; one that it does not have would be refused, as threads by a GPU."""
        options = {
            "INFERENCE_PRECISION_HINT": self._arithmetic,
            "INFERENCE_NUM_THREADS": self._threads * streams,
            "NUM_STREAMS": streams,
        }
        have = self._core.get_property(device, "SUPPORTED_PROPERTIES")
        return {name: value for name, value in options.items() if name in have}

    def _requests(self, streams: int) -> queue.LifoQueue[_Bound]:
        """Return idle requests of a model compiled for this many concurrent callers; further callers wait for one."""
        compiled, idle = self._compile(1, streams), queue.LifoQueue[_Bound]()
        for _ in range(streams):
            idle.put(self._bind(compiled))
        return idle

    def _with_more_streams(self) -> Any:
        with self._lock:
            if self._max_streams > 1:
                self._idle, self._max_streams = self._requests(self._max_streams), 1
            return self._idle

    def _bind(self, compiled: Any) -> _Bound:
        request, frame = compiled.create_infer_request(), np.empty((1, *self._shape), np.uint8)
        request.set_input_tensor(_import().Tensor(frame, shared_memory=True))
        return _Bound(request, frame, request.get_output_tensor().data)


def _import() -> Any:
    return import_library("openvino", "OpenVINO", INSTALL)


ENGINE = EngineSpec("OpenVINO", ("openvino", "onnx"), OpenVinoEngine, version, INSTALL, cpu=True, devices=True)
