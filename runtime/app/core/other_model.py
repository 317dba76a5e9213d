"""A gallery that another model filled: the app starts without it, and embeds it again when a person asks for that."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from runtime.app.core.messages import Mismatch
from runtime.app.core.session import InvalidState
from runtime.errors import EdgefsError, GalleryMismatch
from runtime.gallery import peek
from runtime.recognizer import Recognizer
from runtime.swap import reembed_gallery

log = logging.getLogger(__name__)


class OtherModel:
    """The gallery at a path, until its embeddings fit the bundle in use.

    Args:
        path: The gallery.
        recognizer: A recognizer on the bundle in use, with a gallery in memory.
        reopen: Opens a recognizer on the gallery, once it fits.
    """

    def __init__(self, path: Path, recognizer: Recognizer, reopen: Callable[[], Recognizer]) -> None:
        self.path, self._reopen = path, reopen
        self._recognizer = recognizer
        self._shots = peek(path).shots
        self._shot_s = _seconds_per_shot(recognizer)
        self._done: int | None = None
        self._failed = ""
        self._thread: threading.Thread | None = None

    @property
    def mismatch(self) -> Mismatch:
        return Mismatch(self._shots, round(self._shots * self._shot_s, 1), self._done, self._failed)

    def error(self) -> GalleryMismatch:
        """Return the error for a request to change the gallery."""
        return GalleryMismatch(
            f"{self.path} must be filled by the model in use to be changed, but another model filled it. "
            "Embed its pictures again: POST gallery/reembed, or `edgefs live --reembed`."
        )

    def start(self, changed: Callable[[], None], ready: Callable[[Recognizer], None]) -> None:
        """Embed every shot again in the background.

        Args:
            changed: Called whenever `mismatch` changes.
            ready: Called with the recognizer on the gallery, which the caller must close.

        Raises:
            InvalidState: It is in progress already.
        """
        if self._thread is not None and self._thread.is_alive():
            raise InvalidState(f"{self.path} is being embedded again already. Wait until that is done.")
        self._done, self._failed = 0, ""
        self._thread = threading.Thread(target=self._run, args=(changed, ready), name="re-embed", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until the gallery is embedded: it is one transaction, which would be lost if it ended early."""
        if self._thread is not None:
            self._thread.join()

    def _run(self, changed: Callable[[], None], ready: Callable[[Recognizer], None]) -> None:
        def progress(done: int, of: int) -> None:
            self._done, self._shots = done, of  # more than `peek` counts: forgotten shots and negatives too
            changed()

        try:
            here = self._recognizer
            reembed_gallery(self.path, here.bundle, here.embed, progress, here.engine.info.precision)
            ready(self._reopen())
        except EdgefsError as error:
            log.error("The gallery could not be embedded again: %s", error)
            self._done, self._failed = None, str(error)
        changed()


def _seconds_per_shot(recognizer: Recognizer) -> float:
    """Measure the time to embed a frame of the size that crops have."""
    frames = [np.full((320, 320, 3), 90, np.uint8)] * 4
    recognizer.embed(frames)
    began_s = time.perf_counter()
    recognizer.embed(frames)
    return (time.perf_counter() - began_s) / len(frames) * 1.5  # decoding takes about half as long
