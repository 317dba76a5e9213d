"""The engine that runs a TensorRT plan on the GPU, used for both `tensorrt` and `tensorrt_rtx`.

The passport is checked before the plan is deserialised. A batch of one, the live case, has its own execution context
and CUDA graph, so that one call queues the copy in, the computation and the copy out (`tensorrt_rtx` records the
computation itself). Larger batches share a second context, and a batch that exceeds the plan's profile is split.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Artifact, Bundle
from runtime.engines.base import EngineInfo, check_inputs
from runtime.engines.nvidia import library
from runtime.engines.nvidia.cuda import Cuda
from runtime.engines.nvidia.kernels import Kernels, kernel_file
from runtime.engines.nvidia.passport import Machine, check_passport, differences, read_passport
from runtime.errors import EdgefsError, EngineError


class PlanEngine:
    """Runs one plan on device 0 with one stream. `threads` is ignored, because the CPU only queues work."""

    def __init__(self, bundle: Bundle, artifact: Artifact, threads: int) -> None:
        del threads
        trt = library.load(artifact.target)
        self._lock = threading.Lock()  # a context serves one caller at a time
        self._contexts: dict[bool, _Context] = {}  # whether the batch is fixed -> its context
        self._runtime: Any = None
        self._engine: Any = None
        self._kernels: Kernels | None = None
        self._cuda: Any = Cuda()
        self._shape, self._dim = bundle.preprocess.shape, bundle.dim
        self.info = EngineInfo(artifact.target, str(trt.__version__), artifact.file, artifact.precision, 1)
        try:
            self._open(trt, bundle, artifact)
        except BaseException as error:
            self.close()
            if isinstance(error, EdgefsError) or not isinstance(error, Exception):
                raise
            raise EngineError(  # for example pybind's TypeError for a null pointer
                f"{self.info.name} {self.info.version} cannot open {artifact.file}: {error}; use another engine"
            ) from error

    def _open(self, trt: Any, bundle: Bundle, artifact: Artifact) -> None:
        passport = read_passport(bundle, artifact)
        plan = bundle.read(artifact.file)
        here = Machine.this(self.info.version, self._cuda)
        check_passport(passport, bundle, artifact, plan, here)
        self._smallest, _, self._largest = passport.batch
        logger = library.quiet_logger(trt)
        self._runtime = trt.Runtime(logger)
        if passport.version_compatible:
            self._runtime.engine_host_code_allowed = True  # such a plan contains its own runtime
        if passport.dla_core is not None:
            self._runtime.DLA_core = passport.dla_core
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise EngineError(
                f"{artifact.target} {self.info.version} must accept {artifact.file} of {bundle.where}, but refuses it: "
                f"{logger.said()}{differences(passport, here)}; export it again here, or use another engine"
            )
        if artifact.target == "tensorrt-rtx":
            key = passport.plan_sha256, here.library_version, here.compute_capability
            self._kernels = Kernels(trt, self._engine, kernel_file(*key))
        self._names = _tensor_names(trt, self._engine, artifact.file)

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Engine.embed`."""
        check_inputs(frames, self._shape)
        out = np.empty((len(frames), self._dim), np.float32)
        with self._lock:
            known = len(self._contexts)
            for start in range(0, len(frames), self._largest):
                chunk = frames[start : start + self._largest]
                try:
                    out[start : start + len(chunk)] = self._context_for(len(chunk)).run(chunk)
                except EdgefsError:
                    raise
                except Exception as error:  # for example pybind's TypeError
                    raise EngineError(
                        f"{self.info.name} cannot run {self.info.artifact}: {error}; open it again"
                    ) from error
            if self._kernels is not None and len(self._contexts) > known:
                self._kernels.store()
        return out

    def close(self) -> None:
        """See `Engine.close`."""
        with self._lock:
            if self._kernels is not None and self._contexts:
                self._kernels.store()
            self._contexts, self._kernels = {}, None
            self._engine = self._runtime = (
                None  # contexts are freed before their engine, and the engine before its runtime
            )
            if self._cuda is not None:
                self._cuda.close()
            self._cuda = None

    def _context_for(self, count: int) -> _Context:
        if self._cuda is None:
            raise EngineError(f"{self.info.name} must be open to embed, but was closed; open it again")
        fixed = count <= self._smallest
        if fixed not in self._contexts:
            batch = self._smallest if fixed else self._largest
            self._contexts[fixed] = _Context(
                *(self._cuda, self._new_context(fixed), self._names, batch, self._shape, self._dim),
                fixed=fixed,
                record=fixed and self._kernels is None,
            )
        return self._contexts[fixed]

    def _new_context(self, fixed: bool) -> Any:
        kernels = self._kernels
        context = self._engine.create_execution_context() if kernels is None else kernels.context(single=fixed)
        if context is None:
            raise EngineError(
                "the GPU must have memory for an execution context, but has not enough; close other programs"
            )
        return context


class _Context:
    """An execution context with buffers for up to `batch` frames; if `fixed`, for exactly `batch`.

    With `record`, which requires `fixed`, all work of a call becomes a CUDA graph at the second call.
    """

    def __init__(
        self,
        cuda: Cuda,
        context: Any,
        names: tuple[str, str],
        batch: int,
        shape: tuple[int, int, int],
        dim: int,
        *,
        fixed: bool,
        record: bool,
    ) -> None:
        self._cuda, self._input, self._output = cuda, *names
        self._frames = cuda.pinned_array((batch, *shape), np.uint8)
        self._embeddings = cuda.pinned_array((batch, dim), np.float32)
        self._device_frames = cuda.device_buffer(self._frames.nbytes)
        self._device_embeddings = cuda.device_buffer(self._embeddings.nbytes)
        self._fixed, self._records, self._graph, self._calls = fixed, record, None, 0
        self._count = 0
        self._context = context
        _must(self._context.set_tensor_address(self._input, self._device_frames), "set_tensor_address")
        _must(self._context.set_tensor_address(self._output, self._device_embeddings), "set_tensor_address")

    def run(self, chunk: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed `uint8 [n, H, W, C]`, n <= batch. The result is a view that the next call overwrites."""
        count = len(self._frames) if self._fixed else len(chunk)
        self._frames[: len(chunk)] = chunk
        self._frames[len(chunk) : count] = 0  # a plan of fixed batch may need more frames than were given
        self._resize(count)
        self._calls += 1
        if self._records and self._calls == 2:  # the first call loads kernels, which must not happen while recording
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
        """Record the work as a graph. Some layers cannot be recorded; then every call queues the work again."""
        try:
            self._graph = self._cuda.record(self._enqueue)
        except EngineError:
            self._graph = None


def _tensor_names(trt: Any, engine: Any, file: str) -> tuple[str, str]:
    """Return the names of input and output. Raises EngineError unless they are uint8 frames and float32 embeddings."""
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
