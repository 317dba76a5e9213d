"""What an engine is: it turns engine inputs into embeddings and states how it computes them."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.errors import EngineError, EngineMissing


@dataclass(frozen=True)
class EngineInfo:
    """How an engine computes embeddings. Every value was set by us; none is a default of the library.

    Attributes:
        name: Name of the engine, as in `runtime.engines.ENGINES`.
        version: Version of the library.
        artifact: Path of the model file in the bundle.
        precision: Precision of the artifact: "fp32", "fp16" or "int8".
        threads: Number of CPU threads of one call.
        golden_cosine: Worst agreement over the golden frames; 1 is exact, NaN means not checked.
        reason: Why this engine was chosen.
        arithmetic: Floating-point type of the computation, however the weights are stored.
        device: Where it runs, of an engine that has a choice of devices; else empty.
    """

    name: str
    version: str
    artifact: str
    precision: str
    threads: int
    golden_cosine: float = float("nan")
    reason: str = ""
    arithmetic: str = "f32"
    device: str = ""


class Engine(Protocol):
    """Anything with these three members is an engine; no base class is needed."""

    info: EngineInfo

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed a batch. It is safe to call this from several threads.

        Args:
            frames: Engine inputs, `uint8 [N, H, W, C]`, N >= 0.

        Returns:
            A new array `float32 [N, D]`.
        """
        ...

    def close(self) -> None:
        """Free all resources. It may be called twice."""
        ...


@dataclass(frozen=True)
class EngineSpec:
    """What an engine's module states about its engine, as `ENGINE`. Reading it imports no library.

    Attributes:
        title: Display name.
        targets: Targets of the artifacts it runs, the preferred one first.
        open: Opens an artifact: `open(bundle, artifact, threads)`, with `device=` after them if the caller named one.
        version: Returns the version of the installed library; raises EngineMissing if it cannot be used here.
        install: A sentence that says how to install the library.
        auto: Whether `engine="auto"` may choose it. An engine that takes minutes to open should say False.
        cpu: Whether it runs on every machine's CPU, so that an export can be checked with it.
        devices: Whether it has a choice of devices.
    """

    title: str
    targets: tuple[str, ...]
    open: Callable[..., Engine]
    version: Callable[[], str]
    install: str
    auto: bool = True
    cpu: bool = False
    devices: bool = False

    def installed(self) -> bool:
        """Return whether the library, and the hardware it needs, are there."""
        try:
            self.version()
        except EngineMissing:
            return False
        return True


def import_library(module: str, title: str, install: str) -> Any:
    """Import the library of an engine when it is needed. Raises EngineMissing with the install line."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EngineMissing(f"{title} is not installed ({error}). {install}") from error


def check_inputs(frames: NDArray[np.uint8], shape: tuple[int, int, int]) -> None:
    """Raise EngineError unless `frames` is `uint8 [N, *shape]`. Libraries report a wrong shape in different ways."""
    if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != shape:
        got = f"{frames.dtype} {frames.shape}" if isinstance(frames, np.ndarray) else type(frames).__name__
        raise EngineError(
            f"engine inputs must be uint8 [N, *{shape}], but got {got}; use bundle.preprocess.batch(frames)"
        )


def agreement(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compare two sets of embeddings row by row.

    Args:
        a: Embeddings, `float [N, D]`.
        b: Embeddings, `float [N, D]`.

    Returns:
        `float64 [N]`, at most 1: the cosine if the two rows have equal norms, and less if they do not.
    """
    x, y = a.astype(np.float64), b.astype(np.float64)
    norms = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    return np.asarray(1 - ((x - y) ** 2).sum(axis=1) / (2 * np.maximum(norms, 1e-30)), np.float64)


def cpus() -> int:
    """Return how many CPUs this process may use. Only Linux knows the affinity; elsewhere all CPUs are counted."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
