"""A simulated GPU: a libcudart in C whose device memory is host memory, and a TensorRT that calls a Python function.

With them the engine's own code runs as on a device, including ctypes, buffers, graphs, splitting and refusals.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

CUDART = r"""
#include <stdlib.h>
#include <string.h>
typedef struct { void *to; const void *from; size_t size; void (*kernel)(void); } work;
typedef struct { work works[16]; int count; } graph;
int stub_devices = 1, stub_live = 0, stub_launches = 0, stub_refuse_capture = 0, stub_old_driver = 0, stub_flags = -1;
static graph *recording = 0;
static int last = 0;  // as in CUDA, an error stays until it is read

static int run(work w) { if (w.kernel) w.kernel(); else memcpy(w.to, w.from, w.size); return 0; }
static int queue(work w) { if (recording) { recording->works[recording->count++] = w; return 0; } return run(w); }
static int make(void **out, size_t size) { *out = calloc(1, size); stub_live++; return 0; }
static int drop(void *it) { free(it); stub_live--; return 0; }

int cudaGetLastError() { int error = last; last = 0; return error; }
int cudaGetDeviceCount(int *out) { *out = stub_devices; return stub_old_driver ? 35 : stub_devices ? 0 : 100; }
int cudaDriverGetVersion(int *out) { *out = 12060; return 0; }
int cudaDeviceGetAttribute(int *out, int which, int device) { *out = which == 75 ? 8 : 7; return device; }
int cudaMalloc(void **out, size_t size) { return make(out, size); }
int cudaFree(void *it) { return drop(it); }
int cudaMallocHost(void **out, size_t size) { return make(out, size); }
int cudaFreeHost(void *it) { return drop(it); }
int cudaStreamCreateWithFlags(void **out, unsigned flags) { stub_flags = flags; return make(out, 1); }
int cudaStreamDestroy(void *it) { return drop(it); }
int cudaStreamSynchronize(void *stream) { return recording ? 900 : 0; }
int cudaMemcpyAsync(void *to, const void *from, size_t size, int kind, void *stream) {
    work w = {to, from, size, 0};
    return kind == 1 || kind == 2 ? queue(w) : 21;
}
int stub_kernel(void (*kernel)(void)) {
    work w = {0, 0, 0, kernel};
    if (recording && stub_refuse_capture) last = 900;
    return last ? last : queue(w);
}
int cudaStreamBeginCapture(void *stream, int mode) { recording = calloc(1, sizeof(graph)); stub_live++; return 0; }
int cudaStreamEndCapture(void *stream, void **out) {
    *out = recording;
    recording = 0;
    return stub_refuse_capture ? 901 : 0;
}
int cudaGraphInstantiate(void **out, void *from, unsigned long long flags) {
    make(out, sizeof(graph));
    memcpy(*out, from, sizeof(graph));
    return 0;
}
int cudaGraphDestroy(void *it) { return drop(it); }
int cudaGraphExecDestroy(void *it) { return drop(it); }
int cudaGraphLaunch(void *it, void *stream) {
    stub_launches++;
    for (int i = 0; i < ((graph *)it)->count; i++) run(((graph *)it)->works[i]);
    return 0;
}
"""


def compile_cudart(folder: Path) -> Path:
    source, library = folder / "cudart.c", folder / "libcudart_stub.so"
    source.write_text(CUDART)
    subprocess.run(["gcc", "-shared", "-fPIC", "-w", "-o", str(library), str(source)], check=True)
    return library


class Cudart:
    """The compiled stub and its counters."""

    def __init__(self, path: Path) -> None:
        self.path, self.library = path, ctypes.CDLL(str(path))

    def __getitem__(self, name: str) -> int:
        return ctypes.c_int.in_dll(self.library, f"stub_{name}").value

    def __setitem__(self, name: str, value: int) -> None:
        ctypes.c_int.in_dll(self.library, f"stub_{name}").value = value


def tensorrt(
    cudart: Cudart,
    embed: Callable[[np.ndarray], np.ndarray],
    shape: tuple[int, int, int],
    dim: int,
    version: str = "10.3.0",
) -> Any:
    """Return a module like `tensorrt`, whose engines compute `embed`.

    `.deserialized` counts the deserialised plans; `.refuses = True` makes it refuse them. It has what only
    `tensorrt_rtx` has, too: `.compiled` lists the kernels that had to be compiled, and `.strategies` those asked for.
    """
    module = SimpleNamespace(__name__="tensorrt", __version__=version, deserialized=0, refuses=False)
    module.compiled, module.strategies = [], []

    class ILogger:
        Severity = Enum("Severity", "INTERNAL_ERROR ERROR WARNING INFO VERBOSE")

    class RuntimeCache:
        def __init__(self) -> None:
            self.kernels: list[str] = []

        def deserialize(self, blob: bytes) -> bool:
            driver, *kernels = blob.decode().split()
            self.kernels = kernels if driver == module.driver else []
            return driver == module.driver

        def serialize(self) -> bytes:
            return " ".join([module.driver, *self.kernels]).encode()

    class RuntimeConfig:
        cuda_graph_strategy = dynamic_shapes_kernel_specialization_strategy = None

        def create_runtime_cache(self) -> RuntimeCache:
            return RuntimeCache()

        def set_runtime_cache(self, cache: RuntimeCache) -> bool:
            self.cache = cache
            return True

    class Context:
        def __init__(self, config: RuntimeConfig | None) -> None:
            self.config = config
            self.addresses: dict[str, int] = {}
            self.kernel = ctypes.CFUNCTYPE(None)(self.compute)

        def set_tensor_address(self, name: str, memory: int) -> bool:
            self.addresses[name] = memory
            return True

        def set_input_shape(self, name: str, wanted: tuple[int, ...]) -> bool:
            self.count = wanted[0]
            return name == "frames" and wanted[1:] == shape

        def get_tensor_shape(self, name: str) -> tuple[int, int]:
            return (self.count, module.dim if name == "embeddings" else 0)

        def execute_async_v3(self, stream_handle: int) -> bool:
            kernel = f"kernel-for-{self.count}"
            if self.config is not None and kernel not in self.config.cache.kernels:
                self.config.cache.kernels.append(kernel)
                module.compiled.append(kernel)
            return stream_handle != 0 and cudart.library.stub_kernel(self.kernel) == 0

        def compute(self) -> None:
            frames = _at(self.addresses["frames"], (self.count, *shape), np.uint8)
            _at(self.addresses["embeddings"], (self.count, dim), np.float32)[:] = embed(frames)

    class Engine:
        num_io_tensors = 2

        def get_tensor_name(self, index: int) -> str:
            return ("frames", "embeddings")[index]

        def get_tensor_mode(self, name: str) -> Enum:
            return module.TensorIOMode.INPUT if name == "frames" else module.TensorIOMode.OUTPUT

        def get_tensor_dtype(self, name: str) -> Enum:
            return module.DataType.UINT8 if name == "frames" else module.output_type

        def create_runtime_config(self) -> RuntimeConfig:
            return RuntimeConfig()

        def create_execution_context(self, runtime_config: RuntimeConfig | None = None) -> Context:
            if runtime_config is not None:
                found = runtime_config.dynamic_shapes_kernel_specialization_strategy.name
                module.strategies.append((runtime_config.cuda_graph_strategy.name, found))
            return Context(runtime_config)

    class Runtime:
        def __init__(self, logger: Any) -> None:
            self.logger = logger

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> Engine | None:
            module.deserialized += bool(serialized_engine)
            if module.refuses:
                self.logger.log(ILogger.Severity.ERROR, "the magic tag does not match")
                return None
            return Engine()

    module.ILogger, module.Runtime, module.dim = ILogger, Runtime, dim
    module.TensorIOMode = Enum("TensorIOMode", "NONE INPUT OUTPUT")
    module.CudaGraphStrategy = Enum("CudaGraphStrategy", "DISABLED WHOLE_GRAPH_CAPTURE")
    module.DynamicShapesKernelSpecializationStrategy = Enum("Strategy", "LAZY EAGER NONE")
    module.driver = "580"
    module.DataType = Enum("DataType", "FLOAT HALF UINT8")
    module.output_type = module.DataType.FLOAT
    return module


def _at(address: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_uint8 * nbytes).from_address(address), dtype).reshape(shape)
