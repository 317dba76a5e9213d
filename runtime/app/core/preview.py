"""The picture people watch: encoded once for everyone, only while somebody looks, and always the newest.

Encoding has its own thread, so that recognising never waits for a watcher; a watcher's mailbox holds one picture, so a
slow one skips pictures.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from runtime.app.core.hub import Mailbox
from runtime.opencv import encode_jpeg, load_cv2

MAX_WIDTH = 1280  # pixels
QUALITY = 75
THUMBNAIL = 96  # pixels, the shorter side


class Preview:
    """The newest picture of one camera, and its watchers. `offer` is for the camera's thread, the rest for any."""

    def __init__(self, name: str) -> None:
        self._changed = threading.Condition()
        self._image: NDArray[np.uint8] | None = None
        self._fresh = False
        self._watchers: tuple[Mailbox[bytes], ...] = ()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"preview {name}", daemon=True)
        self._thread.start()

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    def offer(self, image: NDArray[np.uint8]) -> None:
        """Show a picture, `uint8 [H, W, 3]` BGR. Costs nothing when nobody watches."""
        with self._changed:
            self._image, self._fresh = image, True
            if self._watchers:
                self._changed.notify()

    @property
    def newest(self) -> NDArray[np.uint8] | None:
        """The picture as it came, `uint8 [H, W, 3]` BGR; None before the first."""
        return self._image

    def snapshot(self) -> bytes | None:
        """The newest picture as JPEG; None before the first."""
        image = self._image
        return None if image is None else _encode(image)

    def join(self, notify: Callable[[], None]) -> Mailbox[bytes]:
        """Start watching: JPEGs come into the mailbox, the one there is at once."""
        mailbox: Mailbox[bytes] = Mailbox(notify)
        with self._changed:
            self._watchers = (*self._watchers, mailbox)
            self._fresh = self._image is not None
            self._changed.notify()
        if self._closed:
            mailbox.close()
        return mailbox

    def leave(self, mailbox: Mailbox[bytes]) -> None:
        with self._changed:
            self._watchers = tuple(other for other in self._watchers if other is not mailbox)

    def close(self) -> None:
        """End the thread and every watcher."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        for mailbox in self._watchers:
            mailbox.close()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or (self._fresh and self._watchers))
                if self._closed:
                    return
                image, self._fresh = self._image, False
            assert image is not None
            jpeg = _encode(image)
            for mailbox in self._watchers:
                mailbox.put("picture", jpeg)


def thumbnail(image: NDArray[np.uint8]) -> bytes:
    """A small JPEG of `uint8 [H, W, 3]`."""
    return encode_jpeg(_shrunk(image, THUMBNAIL / min(image.shape[:2])), QUALITY)


def _encode(image: NDArray[np.uint8]) -> bytes:
    return encode_jpeg(_shrunk(image, MAX_WIDTH / image.shape[1]), QUALITY)


def _shrunk(image: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    if scale >= 1:
        return image
    cv2 = load_cv2()
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[no-any-return]
