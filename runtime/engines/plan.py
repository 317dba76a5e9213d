"""A TensorRT plan on the GPU: the engine behind both `tensorrt` and `tensorrt_rtx`.

The passport is checked before anything is deserialised. A batch of one, the live case, has an execution context and a
CUDA graph of its own: copy in, compute and copy out are queued by one call. Larger batches share a second context; what
exceeds the plan's profile is split.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Artifact, Bundle
from runtime.engines import tensorrt_library
from runtime.engines.base import EngineInfo, check_inputs
from runtime.engines.cuda import Cuda
from runtime.engines.passport import Machine, check_passport, read_passport
from runtime.errors import EdgefsError, EngineError


class PlanEngine:
    """One plan, device 0, one stream. threads is of no use here: the CPU only queues work."""

    def __init__(self, bundle: Bundle, artifact: Artifact, threads: int) -> None:
        del threads
        trt = tensorrt_library.load(artifact.target)
        self._lock = threading.Lock()  # a context serves one caller at a time
        self._lanes: dict[bool, _Lane] = {}  # by whether the batch is fixed
        self._runtime: Any = None
        self._engine: Any = None
        self._cuda: Any = Cuda()
        self._shape, self._dim = bundle.preprocess.shape, bundle.dim
        self.info = EngineInfo(artifact.target, str(trt.__version__), artifact.file, artifact.precision, 1)
        try:
            self._open(trt, bundle, artifact)
        except BaseException as error:
            self.close()
            if isinstance(error, EdgefsError) or not isinstance(error, Exception):
                raise
            raise EngineError(  # pybind's TypeError for a null pointer
                f"{self.info.name} {self.info.version} cannot open {artifact.file}: {error}; use another engine"
            ) from error

    def _open(self, trt: Any, bundle: Bundle, artifact: Artifact) -> None:
        passport = read_passport(bundle, artifact)
        plan = bundle.read(artifact.file)
        check_passport(passport, bundle, artifact, plan, Machine.this(self.info.version, self._cuda))
        self._smallest, _, self._largest = passport.batch
        logger = tensorrt_library.quiet_logger(trt)
        self._runtime = trt.Runtime(logger)
        if passport.version_compatible:
            self._runtime.engine_host_code_allowed = True  # such a plan brings its own runtime
        if passport.dla_core is not None:
            self._runtime.DLA_core = passport.dla_core
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise EngineError(
                f"{artifact.target} {self.info.version} must accept {artifact.file} of {bundle.where}, but refuses it: "
                f"{logger.said()}; export it again here, or use another engine"
            )
        self._names = _tensor_names(trt, self._engine, artifact.file)

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        check_inputs(frames, self._shape)
        out = np.empty((len(frames), self._dim), np.float32)
        with self._lock:
            for start in range(0, len(frames), self._largest):
                chunk = frames[start : start + self._largest]
                try:
                    out[start : start + len(chunk)] = self._lane(len(chunk)).run(chunk)
                except EdgefsError:
                    raise
                except Exception as error:  # pybind's TypeError and the like
                    raise EngineError(
                        f"{self.info.name} cannot run {self.info.artifact}: {error}; open it again"
                    ) from error
        return out

    def close(self) -> None:
        with self._lock:
            self._lanes = {}
            self._engine = self._runtime = None  # contexts go before their engine, and that before its runtime
            if self._cuda is not None:
                self._cuda.close()
            self._cuda = None

    def _lane(self, count: int) -> _Lane:
        if self._cuda is None:
            raise EngineError(f"{self.info.name} must be open to embed, but was closed; open it again")
        fixed = count <= self._smallest
        if fixed not in self._lanes:
            batch = self._smallest if fixed else self._largest
            self._lanes[fixed] = _Lane(
                self._cuda, self._engine, self._names, batch, self._shape, self._dim, fixed=fixed
            )
        return self._lanes[fixed]


class _Lane:
    """An execution context and its buffers for up to `batch` frames; fixed: exactly so many, as a CUDA graph."""

    def __init__(
        self,
        cuda: Cuda,
        engine: Any,
        names: tuple[str, str],
        batch: int,
        shape: tuple[int, int, int],
        dim: int,
        *,
        fixed: bool,
    ) -> None:
        self._cuda, self._input, self._output = cuda, *names
        self._frames = cuda.pinned_array((batch, *shape), np.uint8)
        self._embeddings = cuda.pinned_array((batch, dim), np.float32)
        self._device_frames = cuda.device_buffer(self._frames.nbytes)
        self._device_embeddings = cuda.device_buffer(self._embeddings.nbytes)
        self._fixed, self._graph, self._calls = fixed, None, 0
        self._count = 0
        self._context = engine.create_execution_context()
        if self._context is None:
            raise EngineError("the GPU must have memory for an execution context, but has not; close other programs")
        _must(self._context.set_tensor_address(self._input, self._device_frames), "set_tensor_address")
        _must(self._context.set_tensor_address(self._output, self._device_embeddings), "set_tensor_address")

    def run(self, chunk: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed `uint8 [n, H, W, C]`, n up to the batch; the result is a view that the next call overwrites."""
        count = len(self._frames) if self._fixed else len(chunk)
        self._frames[: len(chunk)] = chunk
        self._frames[len(chunk) : count] = 0  # a static plan may want more frames than there are
        self._resize(count)
        self._calls += 1
        if self._fixed and self._calls == 2:  # the first call warms up: lazy loading must not happen while recording
            self._record()
        if self._graph is None:
            self._enqueue()
        else:
            self._cuda.replay(self._graph)
        self._cuda.wait()
        return self._embeddings[: len(chunk)]

    def _resize(self, count: int) -> None:
        if count == self._count:
            return
        _must(self._context.set_input_shape(self._input, (count, *self._frames.shape[1:])), "set_input_shape")
        answer = tuple(self._context.get_tensor_shape(self._output))
        if answer != (count, self._embeddings.shape[1]):
            raise EngineError(
                f"the plan must answer {(count, self._embeddings.shape[1])}, but answers {answer}; export it again"
            )
        self._count = count

    def _enqueue(self) -> None:
        self._cuda.upload(self._device_frames, self._frames[: self._count])
        _must(self._context.execute_async_v3(self._cuda.stream), "execute_async_v3")
        self._cuda.download(self._embeddings[: self._count], self._device_embeddings)

    def _record(self) -> None:
        """Some layers cannot be recorded; then every call queues its work anew, as without a graph."""
        try:
            self._graph = self._cuda.record(self._enqueue)
        except EngineError:
            self._graph = None


def _tensor_names(trt: Any, engine: Any, file: str) -> tuple[str, str]:
    """Names of input and output. Raises EngineError unless they are uint8 frames and float32 embeddings."""
    found = {}
    for i in range(engine.num_io_tensors):
        name = engine.get_tensor_name(i)
        found[engine.get_tensor_mode(name)] = (name, engine.get_tensor_dtype(name))
    wanted = {trt.TensorIOMode.INPUT: trt.DataType.UINT8, trt.TensorIOMode.OUTPUT: trt.DataType.FLOAT}
    if engine.num_io_tensors != 2 or {mode: dtype for mode, (_, dtype) in found.items()} != wanted:
        raise EngineError(
            f"{file} must take uint8 frames and answer float32 embeddings, but has {found}; export it again"
        )
    return found[trt.TensorIOMode.INPUT][0], found[trt.TensorIOMode.OUTPUT][0]


def _must(success: bool, what: str) -> None:
    if not success:
        raise EngineError(f"{what} must succeed, but TensorRT refuses; export the plan again on this machine")
