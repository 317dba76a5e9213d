"""The part of the CUDA runtime that an engine needs: memory, one stream, copies, and a graph that repeats them.

It uses `cuda.bindings` if that is installed, else libcudart through ctypes, which every CUDA installation has (JetPack
6 stays on Python 3.10). Both return `(error, result…)`, so the code above them is the same. A CUDA runtime that is
newer than the driver finds no GPU; then the next older one is asked.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from runtime.errors import EngineError, EngineMissing

LIBRARIES = ("libcudart.so.13", "libcudart.so.12", "libcudart.so")
_POINTER, _SIZE, _INT, _LONG = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_ulonglong
_RESULT = ctypes.POINTER(_POINTER)  # marks an argument that receives the result
_RESULT_INT = ctypes.POINTER(_INT)
# Argument types in the order of the C functions, CUDA 12 and 13.
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cudaGetLastError": (),
    "cudaGetDeviceCount": (_RESULT_INT,),
    "cudaDriverGetVersion": (_RESULT_INT,),
    "cudaDeviceGetAttribute": (_RESULT_INT, _INT, _INT),
    "cudaMalloc": (_RESULT, _SIZE),
    "cudaFree": (_POINTER,),
    "cudaMallocHost": (_RESULT, _SIZE),
    "cudaFreeHost": (_POINTER,),
    "cudaStreamCreateWithFlags": (_RESULT, ctypes.c_uint),
    "cudaStreamDestroy": (_POINTER,),
    "cudaStreamSynchronize": (_POINTER,),
    "cudaMemcpyAsync": (_POINTER, _POINTER, _SIZE, _INT, _POINTER),
    "cudaStreamBeginCapture": (_POINTER, _INT),
    "cudaStreamEndCapture": (_POINTER, _RESULT),
    "cudaGraphInstantiate": (_RESULT, _POINTER, _LONG),
    "cudaGraphDestroy": (_POINTER,),
    "cudaGraphLaunch": (_POINTER, _POINTER),
    "cudaGraphExecDestroy": (_POINTER,),
}
_NON_BLOCKING = 1  # cudaStreamNonBlocking: work of other libraries on the default stream is not waited for
# The enum members that are used; their numbers are part of CUDA's ABI.
_ENUMS = {
    "cudaMemcpyKind": {"cudaMemcpyHostToDevice": 1, "cudaMemcpyDeviceToHost": 2},
    "cudaStreamCaptureMode": {"cudaStreamCaptureModeThreadLocal": 1},
    "cudaDeviceAttr": {"cudaDevAttrComputeCapabilityMajor": 75, "cudaDevAttrComputeCapabilityMinor": 76},
}


class Cuda:
    """A stream on device 0, and everything allocated for it; `close` frees all of it. Use it from one thread at a time.

    Every method raises EngineError with CUDA's error number if CUDA fails.

    Raises:
        EngineMissing: There is no CUDA runtime or no GPU.
    """

    def __init__(self) -> None:
        self._api = _open_api()
        self._free: list[tuple[str, Any]] = []
        self._stream: Any = self._own("cudaStreamDestroy", self._call("cudaStreamCreateWithFlags", _NON_BLOCKING))

    @property
    def stream(self) -> int:
        """The handle of the stream."""
        return int(self._stream)

    def compute_capability(self) -> str:
        """Return the compute capability of device 0, such as "8.7"."""
        attributes = self._enum("cudaDeviceAttr")
        numbers = [attributes.cudaDevAttrComputeCapabilityMajor, attributes.cudaDevAttrComputeCapabilityMinor]
        return ".".join(str(self._call("cudaDeviceGetAttribute", number, 0)) for number in numbers)

    def driver(self) -> str:
        """Return the newest CUDA version that the driver supports, such as "12.6"."""
        number = int(self._call("cudaDriverGetVersion"))
        return f"{number // 1000}.{number % 1000 // 10}"

    def device_buffer(self, nbytes: int) -> int:
        """Allocate device memory; return its address."""
        return int(self._own("cudaFree", self._call("cudaMalloc", nbytes)))

    def pinned_array(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Allocate a page-locked array on the host, which the GPU can copy directly."""
        nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = int(self._own("cudaFreeHost", self._call("cudaMallocHost", nbytes)))
        memory = (ctypes.c_uint8 * nbytes).from_address(address)
        array: NDArray[Any] = np.ctypeslib.as_array(memory).view(dtype).reshape(shape)
        return array

    def upload(self, device: int, host: NDArray[Any]) -> None:
        """Queue a copy of a pinned array to device memory."""
        kind = self._enum("cudaMemcpyKind").cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", device, host.ctypes.data, host.nbytes, kind, self._stream)

    def download(self, host: NDArray[Any], device: int) -> None:
        """Queue a copy from device memory to a pinned array."""
        kind = self._enum("cudaMemcpyKind").cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", host.ctypes.data, device, host.nbytes, kind, self._stream)

    def wait(self) -> None:
        """Wait until all queued work is done."""
        self._call("cudaStreamSynchronize", self._stream)

    def record(self, enqueue: Callable[[], None]) -> Any:
        """Call `enqueue`, which only queues work, and return that work as a graph for `replay`.

        After a failure the stream can be used as before.
        """
        try:
            graph = self._captured(enqueue)
            try:
                return self._own("cudaGraphExecDestroy", self._call("cudaGraphInstantiate", graph, 0))
            finally:
                self._call("cudaGraphDestroy", graph)
        except BaseException:
            self._api.cudaGetLastError()  # CUDA keeps an error until it is read, and a later call would report it
            raise

    def _captured(self, enqueue: Callable[[], None]) -> Any:
        mode = self._enum("cudaStreamCaptureMode").cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", self._stream, mode)
        try:
            enqueue()
        except BaseException:
            self._api.cudaStreamEndCapture(self._stream)  # this also fails, but it ends the capture mode of the stream
            raise
        return self._call("cudaStreamEndCapture", self._stream)

    def replay(self, graph: Any) -> None:
        """Queue a recorded graph."""
        self._call("cudaGraphLaunch", graph, self._stream)

    def close(self) -> None:
        """Free everything, the newest first. It may be called twice."""
        while self._free:
            name, handle = self._free.pop()
            getattr(self._api, name)(handle)

    def _own(self, free: str, handle: Any) -> Any:
        self._free.append((free, handle))
        return handle

    def _enum(self, name: str) -> Any:
        return getattr(self._api, name)

    def _call(self, name: str, *arguments: Any) -> Any:
        error, *results = getattr(self._api, name)(*arguments)
        if int(error):
            raise EngineError(f"{name} must succeed, but CUDA answers error {int(error)}; is the GPU's memory used up?")
        return results[0] if results else None


class CudartByCtypes:
    """A libcudart with the interface of `cuda.bindings.runtime`."""

    def __init__(self, library: ctypes.CDLL) -> None:
        for name, types in _FUNCTIONS.items():
            setattr(self, name, _wrap(getattr(library, name), types))
        for name, members in _ENUMS.items():
            setattr(self, name, type(name, (), members))


def _wrap(function: Any, types: tuple[Any, ...]) -> Callable[..., tuple[int, ...]]:
    function.argtypes, function.restype = types, _INT

    def call(*arguments: Any) -> tuple[int, ...]:
        rest, given, result = iter(arguments), [], None
        for kind in types:
            if kind in (_RESULT, _RESULT_INT):
                result = kind._type_()
                given.append(ctypes.byref(result))
            else:
                given.append(next(rest))
        if len(given) != len(types) or next(rest, None) is not None:
            raise TypeError(f"{function.__name__} got {len(arguments)} arguments")
        error = function(*given)
        return (error,) if result is None else (error, result.value or 0)

    return call


def cudart_libraries() -> Iterator[ctypes.CDLL]:
    """Load every libcudart that is found, the newest of the system first, then those of wheels."""
    wheels = [str(path) for folder in sys.path for path in sorted(Path(folder).glob("nvidia/*/lib/libcudart.so.1[23]"))]
    for name in (*LIBRARIES, *wheels):
        try:
            yield ctypes.CDLL(name)
        except OSError:
            continue


def _apis() -> Iterator[Any]:
    try:
        from cuda.bindings import runtime  # type: ignore[import-not-found]
    except ImportError:
        pass
    else:
        yield runtime
    yield from map(CudartByCtypes, cudart_libraries())


def _open_api() -> Any:
    """Return the first CUDA runtime that finds a GPU. Raises EngineMissing."""
    errors = []
    for api in _apis():
        error, devices = api.cudaGetDeviceCount()
        if not int(error) and devices:
            return api
        errors.append(int(error))
    if errors:
        raise EngineMissing(
            f"there must be an NVIDIA GPU, but CUDA finds none (error {errors[-1]}; 35: no driver, or one that is too "
            "old; 100: no device); use another engine"
        )
    raise EngineMissing(
        f"the CUDA runtime must be installed, but none of {', '.join(LIBRARIES)} can be loaded. On a Jetson it comes "
        "with JetPack; else do: pip install cuda-bindings"
    )
