"""A bank of frames that show nothing taught, sampled as the camera runs: strangers of this place, not of the pool.

What is sampled by itself are unknown answers, so it cannot show the strangers that pass: it only ever counts as much as
`SAMPLES_PER_CLASS` says. Frames of which a person says "nothing taught is in view" are worth more, and stay.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from runtime.recognition import Recognition

CAPACITY = 200
EVERY_S = 2.0  # neighbouring frames are the same sample


class Bank:
    """At most CAPACITY embeddings `float32 [D]`, in memory; the oldest passive ones make room. Thread-safe.

    version: changes when there are noticeably more, not with every sample: thresholds need not follow each.
    """

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._told: list[NDArray[np.float32]] = []
        self._passive: list[NDArray[np.float32]] = []
        self._last_s = float("-inf")
        self._lock = threading.Lock()
        self.version = 0

    def offer(self, recognition: Recognition, time_s: float) -> bool:
        """Sample an answer if it is unknown and the last sample is EVERY_S ago; returns whether it was taken."""
        if recognition.label is not None or time_s - self._last_s < EVERY_S:
            return False
        with self._lock:
            self._last_s = time_s
            self._passive = [*self._passive, recognition.embedding][-CAPACITY:]
            if len(self._passive).bit_count() == 1:  # 1, 2, 4, 8, …
                self.version += 1
        return True

    def tell(self, embeddings: NDArray[np.float32]) -> None:
        """Keep embeddings `float32 [N, D]` of which a person says that nothing taught is in view."""
        with self._lock:
            self._told = [*self._told, *embeddings][-CAPACITY:]
            self.version += 1

    def samples(self) -> NDArray[np.float32]:
        """What was told, then what was sampled: `float32 [S, D]`."""
        with self._lock:
            room = CAPACITY - len(self._told)
            rows = [*self._told, *(self._passive[-room:] if room else [])]
        return np.array(rows, np.float32).reshape(-1, self._dim)
