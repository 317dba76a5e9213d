"""The kernels that TensorRT for RTX compiles on the device, kept from one start to the next.

A plan of TensorRT for RTX holds a graph; its kernels are compiled at first use, which takes seconds. If the environment
variable EDGEFS_MODEL_CACHE names a folder, they are stored there and read at the next start. Only you should be able to
write to that folder, because kernels are code. The file begins with a digest, so that a damaged one is compiled again,
and the library itself refuses kernels of another GPU, driver or version.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

from runtime.durable import write_file
from runtime.engines.choices import CACHE

_DIGEST = hashlib.sha256().digest_size


def kernel_file(*key: str) -> Path | None:
    """Return the file of the kernels that belong to this plan, library and GPU; None if no folder is named."""
    folder = os.environ.get(CACHE)
    name = hashlib.sha256("\n".join(key).encode()).hexdigest()[:32]
    return Path(folder) / f"tensorrt-rtx-{name}.kernels" if folder else None


class Kernels:
    """Creates the execution contexts of a plan of TensorRT for RTX, which share their compiled kernels.

    The library records CUDA graphs itself: it knows when its kernels are compiled, and which work can be recorded. The
    kernels for a single frame, the live case, are compiled at its first call, so that the golden frames are computed by
    the same kernels as every later frame. Those for batches are compiled in the background.
    """

    def __init__(self, trt: Any, engine: Any, file: Path | None) -> None:
        self._trt, self._engine, self._file = trt, engine, file
        self._cache = engine.create_runtime_config().create_runtime_cache()
        self._stored = read_kernels(file)
        if self._stored and not self._cache.deserialize(self._stored):
            self._stored = b""

    def context(self, *, single: bool) -> Any:
        """Create a context, for single frames or for batches; None if the GPU has not enough memory."""
        config, strategies = self._engine.create_runtime_config(), self._trt.DynamicShapesKernelSpecializationStrategy
        config.set_runtime_cache(self._cache)
        config.cuda_graph_strategy = self._trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER if single else strategies.LAZY
        return self._engine.create_execution_context(config)

    def store(self) -> None:
        """Write the kernels that were compiled since the file was read. A folder that cannot be written is no error."""
        if self._file is None:
            return
        compiled = bytes(self._cache.serialize())
        if compiled != self._stored:
            with contextlib.suppress(OSError):
                write_file(self._file, hashlib.sha256(compiled).digest() + compiled)
                self._stored = compiled


def read_kernels(file: Path | None) -> bytes:
    """Return the kernels in a file; b"" if there are none, or if they are damaged."""
    try:
        data = b"" if file is None else file.read_bytes()
    except OSError:
        return b""
    digest, kernels = data[:_DIGEST], data[_DIGEST:]
    return kernels if hashlib.sha256(kernels).digest() == digest else b""
