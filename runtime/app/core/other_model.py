"""A gallery that another model filled: the app starts all the same, without it, and embeds it again when told to."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.app.core.messages import Mismatch
from runtime.app.core.session import NotNow
from runtime.errors import EdgefsError, GalleryMismatch
from runtime.gallery import peek
from runtime.recognizer import Recognizer
from runtime.swap import reembed_gallery

log = logging.getLogger(__name__)


class OtherModel:
    """The gallery at a path, until it fits.

    recognizer: on the same bundle, with a gallery in memory.  reopen: opens one on the gallery, once it fits.
    """

    def __init__(self, path: Path, recognizer: Recognizer, reopen: Callable[[], Recognizer]) -> None:
        self.path, self._reopen = path, reopen
        self._recognizer = recognizer
        self._shots = peek(path).shots
        self._each_s = _seconds_a_shot(recognizer)
        self._done: int | None = None
        self._failed = ""
        self._thread: threading.Thread | None = None

    @property
    def mismatch(self) -> Mismatch:
        return Mismatch(self._shots, round(self._shots * self._each_s, 1), self._done, self._failed)

    def refuse(self) -> GalleryMismatch:
        """The error for whoever wants to change what is not there."""
        return GalleryMismatch(
            f"{self.path} must be filled by the model in use to be changed, but another filled it. "
            "Do: embed its pictures again (POST gallery/reembed, or `edgefs live --reembed`)"
        )

    def start(self, changed: Callable[[], None], ready: Callable[[Recognizer], None]) -> None:
        """Embed every shot again, in the background. Raises NotNow while that is going on.

        changed: called whenever there is news.  ready: gets the recognizer on the gallery, and owns it from then on.
        """
        if self._thread is not None and self._thread.is_alive():
            raise NotNow(f"{self.path} is being embedded again already; wait until it is done")
        self._done, self._failed = 0, ""
        self._thread = threading.Thread(target=self._run, args=(changed, ready), name="re-embed", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for a re-embedding in progress: it is one transaction, so cutting it short would only waste it."""
        if self._thread is not None:
            self._thread.join()

    def _run(self, changed: Callable[[], None], ready: Callable[[Recognizer], None]) -> None:
        old = self._recognizer

        def embed(frames: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
            rows = old.embed(frames)
            self._done = (self._done or 0) + len(rows)
            changed()
            return rows

        try:
            reembed_gallery(self.path, old.bundle, embed)
            ready(self._reopen())
        except EdgefsError as error:
            log.error("re-embedding failed: %s", error)
            self._done, self._failed = None, str(error)
        changed()


def _seconds_a_shot(recognizer: Recognizer) -> float:
    """Time a few frames of the size that crops have."""
    frames = [np.full((320, 320, 3), 90, np.uint8)] * 4
    recognizer.embed(frames)
    began_s = time.perf_counter()
    recognizer.embed(frames)
    return (time.perf_counter() - began_s) / len(frames) * 1.5  # and to decode them
