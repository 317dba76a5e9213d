"""A bank of frames that show nothing taught, sampled as the camera runs: strangers of this place, not of the pool.

What is sampled by itself are unknown answers, so it cannot show the strangers that pass: it only ever counts as much as
`SAMPLES_PER_CLASS` says. Frames of which a person says "nothing taught is in view" are worth more, and stay. Both are
kept in the gallery file; the passive ones are written when there are noticeably more, so a power cut may cost some.
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
EVERY_S = 2.0  # neighbouring frames are the same sample


class Bank:
    """At most CAPACITY embeddings `float32 [D]` of a gallery; the oldest passive ones make room. Thread-safe.

    version: changes when there are noticeably more, not with every sample: thresholds need not follow each.
    """

    def __init__(self, gallery: Gallery) -> None:
        self._gallery, stored = gallery, gallery.background()
        self._told = [embedding for told, embedding in stored if told]
        self._passive = [embedding for told, embedding in stored if not told]
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
                with suppress(GalleryError):  # a gallery that cannot be written goes on without
                    self._store()
        return True

    def tell(self, embeddings: NDArray[np.float32]) -> None:
        """Keep embeddings `float32 [N, D]` of which a person says that nothing taught is in view.

        Raises GalleryUnwritable; then nothing was changed.
        """
        with self._lock:
            before, self._told = self._told, [*self._told, *embeddings][-CAPACITY:]
            try:
                self._store()
            except BaseException:
                self._told = before
                raise
            self.version += 1

    def samples(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What people said shows nothing taught, and what was sampled, unknown at the time: `float32 [S, D]` each."""
        with self._lock:
            return self._rows(self._told), self._rows(self._passive)

    def _store(self) -> None:
        self._gallery.set_background([*((True, z) for z in self._told), *((False, z) for z in self._passive)])

    def _rows(self, rows: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.array(rows, np.float32).reshape(-1, self._gallery.dim)
