"""The scatter within classes, kept up to date class by class, and exact: adding shots and taking them away again gives
back the same bits.

Floating-point sums depend on their order. So every residual is rounded to a grid of 2^-12 of the bundle's scale:
products are multiples of 2^-24, and float64 adds up to 2^29 of those without any rounding, in any order, in any BLAS.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from runtime.matching.prototypes import Prototype

GRID = 2.0**12
MAX_SHOTS = 20  # of a class: the covariance is shared, and one class must not be most of it


class Scatter:
    """Sum of the residuals' outer products over all classes.  total: `float64 [D, D]`.  dof: degrees of freedom."""

    def __init__(self, dim: int, scale: float) -> None:
        self._step = 2.0 ** np.ceil(np.log2(max(scale, 1e-6)))  # a power of two, so that rounding is exact
        self._classes: dict[int, Prototype] = {}
        self.total = np.zeros((dim, dim))
        self.dof = 0

    def update(self, classes: Sequence[Prototype]) -> None:
        """Take in the classes of a gallery as they are now."""
        now = {id(proto): proto for proto in classes}
        gone = [proto for key, proto in self._classes.items() if key not in now]
        new = [proto for key, proto in now.items() if key not in self._classes]
        for some, sign in ((gone, -1), (new, 1)):
            if some:
                rows = [self._residuals(proto) for proto in some]
                stacked = np.concatenate(rows)
                self.total += sign * (stacked.T @ stacked)
                self.dof += sign * sum(max(0, len(part) - 1) for part in rows)
        self._classes = now  # holds the objects, so that an id is never given twice

    def covariance(self) -> NDArray[np.float64]:
        """The shared covariance `float64 [D, D]`; zeros without any degree of freedom."""
        return np.asarray(self.total * (self._step**2 / max(self.dof, 1)))

    def _residuals(self, proto: Prototype) -> NDArray[np.float64]:
        rows = proto.kept_rows
        rows = rows[np.linspace(0, len(rows) - 1, min(MAX_SHOTS, len(rows))).astype(int)].astype(np.float64)
        residuals = (rows - rows.mean(axis=0)) / self._step
        return np.asarray(np.clip(np.rint(residuals * GRID), -4 * GRID, 4 * GRID) / GRID)
