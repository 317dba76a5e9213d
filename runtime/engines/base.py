"""What an engine is: something that turns engine inputs into embeddings, and can say exactly how it does so."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.errors import EngineError


@dataclass(frozen=True)
class EngineInfo:
    """How the embeddings are computed, for people and reports. Nothing here is left to a library's default.

    threads: CPU threads pinned.  golden_cosine: the worst agreement over the golden frames, 1 is perfect.
    reason: why this engine was taken.  arithmetic: the float type it computes in, however the weights are stored.
    """

    name: str
    version: str
    artifact: str
    precision: str
    threads: int
    golden_cosine: float = float("nan")
    reason: str = ""
    arithmetic: str = "f32"


class Engine(Protocol):
    """A Protocol, not a base class: a user's own engine needs nothing of ours but these three names."""

    info: EngineInfo

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed `uint8 [N, H, W, C]`, N from 0, to a fresh `float32 [N, D]`. Safe to call from several threads."""
        ...

    def close(self) -> None:
        """Free it; may be called twice."""
        ...


def check_inputs(frames: NDArray[np.uint8], shape: tuple[int, int, int]) -> None:
    """Raise EngineError unless frames are `uint8 [N, *shape]`: libraries answer a wrong shape each in its own way."""
    if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != shape:
        got = f"{frames.dtype} {frames.shape}" if isinstance(frames, np.ndarray) else type(frames).__name__
        raise EngineError(
            f"engine inputs must be uint8 [N, *{shape}], but got {got}; use bundle.preprocess.batch(frames)"
        )


def cpus() -> int:
    """CPUs this process may use; only Linux can be asked about affinity."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
