"""Arrays of many frames: choose some of them evenly, and run a function on them in batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH = 16  # frames at once: this bounds the memory


def evenly_spaced(total: int, count: int) -> NDArray[np.int64]:
    """Return the indices of `count` of `total` items, evenly spaced from first to last, or all if there are fewer."""
    return np.linspace(0, total - 1, min(count, total)).astype(np.int64)


def in_batches(function: Callable[[NDArray[np.uint8]], NDArray[Any]], frames: NDArray[np.uint8]) -> NDArray[Any]:
    """Call a function on batches of frames `uint8 [N, H, W, C]`, N >= 1, and return its joined rows `[N, ...]`."""
    return np.concatenate([function(frames[i : i + BATCH]) for i in range(0, len(frames), BATCH)])
