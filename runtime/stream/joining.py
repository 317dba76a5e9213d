"""Several frames of a stream decide together: the mean of their embeddings is matched instead of each of them.

On clips this names about four percent more of the known frames, at half a percent more strangers; averaging scores or
counting votes gains a fifth of that (benchmarks/LOG.md).
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

FRAMES = 5
GAP_S = 1.0  # after a silence this long the earlier frames do not count
SAME_SCENE = 0.5  # cosine to the mean of the earlier frames below which the scene has changed


class Joiner:
    """The last frames of one stream.

    Args:
        metric: "cosine" or "euclidean"; unit vectors have a unit mean.
    """

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._recent: deque[NDArray[np.float32]] = deque(maxlen=FRAMES)
        self._last_s = float("-inf")

    def add(self, embedding: NDArray[np.float32], time_s: float) -> NDArray[np.float32]:
        """Add a frame and return the mean of the scene.

        Args:
            embedding: `float32 [D]`.
            time_s: The time of the frame in seconds, which never decreases.

        Returns:
            The mean `float32 [D]`; the embedding itself if it is the first of its scene.
        """
        if self._recent and (time_s - self._last_s > GAP_S or self._changed(embedding)):
            self._recent.clear()
        self._last_s = time_s
        self._recent.append(embedding)
        return embedding if len(self._recent) == 1 else self._mean()

    def _changed(self, embedding: NDArray[np.float32]) -> bool:
        if embedding.shape != self._recent[0].shape:  # another model
            return True
        mean = np.mean(self._recent, axis=0)
        lengths = max(float(np.linalg.norm(mean) * np.linalg.norm(embedding)), 1e-12)
        return float(mean @ embedding) < SAME_SCENE * lengths

    def _mean(self) -> NDArray[np.float32]:
        mean = np.mean(self._recent, axis=0, dtype=np.float32)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12) if self._metric == "cosine" else mean)
