"""Frames that show nothing taught, sampled while the camera runs. They show the strangers of this place.

Frames sampled automatically were answered "unknown", so they contain no stranger that was accepted by mistake; their
influence is therefore limited by `SAMPLES_PER_CLASS`. Frames of which a person says that nothing taught is in view
count fully and are kept. Both are stored in the gallery. The sampled frames are stored whenever their number has
doubled, so a power cut may lose some.
"""

from __future__ import annotations

import threading
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from runtime.errors import GalleryError
from runtime.gallery import Gallery
from runtime.recognition import Recognition

CAPACITY = 200
EVERY_S = 2.0  # consecutive frames are too similar to be separate samples


class Bank:
    """At most CAPACITY sampled and CAPACITY confirmed embeddings of a gallery; the oldest are dropped. Thread-safe.

    Attributes:
        version: It changes when the number of samples has doubled, so that thresholds are not computed for each sample.
    """

    def __init__(self, gallery: Gallery) -> None:
        self._gallery, stored = gallery, gallery.background()
        self._confirmed = [embedding for confirmed, embedding in stored if confirmed]
        self._sampled = [embedding for confirmed, embedding in stored if not confirmed]
        self._last_s = float("-inf")
        self._lock = threading.Lock()
        self.version = 0

    def offer(self, recognition: Recognition, time_s: float) -> bool:
        """Sample an answer if it is unknown and EVERY_S have passed since the last; return whether it was sampled."""
        if recognition.label is not None or time_s - self._last_s < EVERY_S:
            return False
        with self._lock:
            self._last_s = time_s
            self._sampled = [*self._sampled, recognition.embedding][-CAPACITY:]
            if len(self._sampled).bit_count() == 1:  # 1, 2, 4, 8, …
                self.version += 1
                with suppress(GalleryError):  # if the gallery cannot be written, the samples stay in memory
                    self._store()
        return True

    def tell(self, embeddings: NDArray[np.float32]) -> None:
        """Keep the embeddings of frames of which a person says that nothing taught is in view.

        Args:
            embeddings: `float32 [N, D]`.

        Raises:
            GalleryUnwritable: The system refused; nothing was changed.
        """
        with self._lock:
            before, self._confirmed = self._confirmed, [*self._confirmed, *embeddings][-CAPACITY:]
            try:
                self._store()
            except BaseException:
                self._confirmed = before
                raise
            self.version += 1

    def samples(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the embeddings that a person confirmed, and those that were sampled, `float32 [S, D]` each."""
        with self._lock:
            return self._rows(self._confirmed), self._rows(self._sampled)

    def _store(self) -> None:
        self._gallery.set_background([*((True, z) for z in self._confirmed), *((False, z) for z in self._sampled)])

    def _rows(self, rows: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.array(rows, np.float32).reshape(-1, self._gallery.dim)
