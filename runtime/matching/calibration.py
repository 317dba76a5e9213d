"""What a bundle knows about strangers before anything is taught: its calibration table, from base classes.

The table counts different photographs, the camera delivers frames: thirty frames of one second are not thirty shots. So
a class is judged by its *views*, the number of different photographs whose mean would spread as its shots do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime.errors import OptionError

NEAREST_SLACK = 4  # the nearest shot passes at this multiple of the stranger rate: it is one photograph, not a mean


@dataclass(frozen=True)
class Prior:
    """The table, read at the rate that is asked for.

    stranger_rate: the share of strangers that may be accepted, 0..1.  scale: typical distance of unlike frames; 1 for
    cosines.
    """

    calibration: Mapping[str, Any] | None
    stranger_rate: float = 0.05
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.stranger_rate <= 1:
            raise OptionError(f"stranger_rate must be in 0..1, or None for a closed set, but got {self.stranger_rate}")

    def views(self, n_shot: ArrayLike, spread: ArrayLike) -> NDArray[np.float64]:
        """How many different photographs, 1..n_shot, n_shot shots of this spread are worth; of one class or of many.

        n different ones spread by (1 - 1/n) of the variance within a class, on average; this solves for n.
        """
        within = (self.calibration or {}).get("within_variance")
        if not within:
            return np.asarray(n_shot, np.float64)
        return np.asarray(np.minimum(n_shot, 1 / np.maximum(1 - np.asarray(spread) / within, 1e-6)))

    def threshold(self, views: ArrayLike) -> NDArray[np.float64]:
        """The score that a class of so many views demands, or many classes; -inf where the bundle has no table."""
        if not self.calibration:
            return np.full(np.shape(views), -np.inf)
        return np.asarray(np.interp(np.log(np.maximum(views, 1.0)), *self._table(self.stranger_rate)))

    def nearest_threshold(self) -> float:
        """The score that the nearest shot demands; -inf where the bundle has no table."""
        if not self.calibration:
            return -np.inf
        return float(self._table(min(1.0, NEAREST_SLACK * self.stranger_rate))[1][0])

    @cached_property
    def _tables(self) -> dict[float, tuple[list[float], list[float]]]:
        return {}

    def _table(self, rate: float) -> tuple[list[float], list[float]]:
        """log(n_shot) and the score that this share of strangers exceeds."""
        if rate not in self._tables:
            impostor = (self.calibration or {})["impostor"]
            shots = sorted(impostor, key=int)
            scores = [float(np.interp(1 - rate, np.linspace(0, 1, len(impostor[n])), impostor[n])) for n in shots]
            self._tables[rate] = [math.log(int(n)) for n in shots], scores
        return self._tables[rate]
