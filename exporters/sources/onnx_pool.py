"""Make one vector of a network's map `[N, C, H, W]` or of its tokens `[N, T, D]`: in numpy, and as ONNX nodes.

"mean" is the average over all places. "gem" is the generalised mean with the exponent 3 (arXiv:1711.02512), which
gives strong responses more weight. "cls" is the first token of a transformer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exporters.sources.onnx_chain import OnnxChain

POOLS = ("mean", "gem", "cls")
SMALLEST, POWER = 1e-6, 3.0  # of the generalised mean


def pooled(rows: NDArray[np.float32], pool: str | None, *, planar: bool) -> NDArray[np.float32]:
    """Pool `[N, C, H, W]` (or `[N, H, W, C]` if it is not planar) or `[N, T, D]` to `[N, D]`; None changes nothing."""
    if pool is None or rows.ndim == 2:
        return rows
    if pool == "cls":
        return rows[:, 0]
    axes = (1,) if rows.ndim == 3 else (2, 3) if planar else (1, 2)
    if pool == "mean":
        return np.asarray(rows.mean(axis=axes, dtype=np.float32))
    powers = np.maximum(rows.astype(np.float32), SMALLEST) ** POWER
    return np.asarray(powers.mean(axis=axes) ** (1 / POWER), np.float32)


def append_pool(chain: OnnxChain, pool: str | None, rank: int, *, planar: bool) -> None:
    """Append the nodes that do the same to a float32 result of this many axes."""
    if pool is None or rank == 2:
        return
    if pool == "cls":
        chain.then("Gather", np.array(0, np.int64), axis=1)
        return
    if rank == 3 or not planar:
        chain.then("Transpose", perm=[0, 2, 1] if rank == 3 else [0, 3, 1, 2])
    if pool == "gem":
        chain.then("Max", np.array(SMALLEST, np.float32))
        chain.then("Pow", np.array(POWER, np.float32))
    chain.then("GlobalAveragePool")
    if pool == "gem":
        chain.then("Pow", np.array(1 / POWER, np.float32))
