"""What an engine is: something that turns engine inputs into embeddings, and can say exactly how it does so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class EngineInfo:
    """How the embeddings are computed, for people and reports. Nothing here is left to a library's default.

    threads: CPU threads pinned.  golden_cosine: the worst agreement over the golden frames, 1 is perfect.
    reason: why this engine was taken.
    """

    name: str
    version: str
    artifact: str
    precision: str
    threads: int
    golden_cosine: float = float("nan")
    reason: str = ""


class Engine(Protocol):
    """A Protocol, not a base class: a user's own engine needs nothing of ours but these three names."""

    info: EngineInfo

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed `uint8 [N, H, W, C]` to a fresh `float32 [N, D]`. Safe to call from several threads."""
        ...

    def close(self) -> None: ...
