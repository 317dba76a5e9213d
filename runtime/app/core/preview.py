"""The live picture: encoded once for all viewers of one width, only while somebody looks, and always the newest frame.

A thread of its own encodes, so recognition never waits for a viewer. A viewer's mailbox holds one picture, so a slow
viewer skips pictures.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from runtime.app.core.hub import Mailbox
from runtime.opencv import encode_jpeg, load_cv2

WIDTHS = (480, 800, 1280)  # pixels; few, because each is encoded by itself
QUALITY = 75
THUMBNAIL = 96  # pixels, the shorter side


class Preview:
    """The newest frame of one camera, and its viewers. The camera's thread calls `offer`; any thread calls the rest."""

    def __init__(self, name: str) -> None:
        self._changed = threading.Condition()
        self._frame: NDArray[np.uint8] | None = None
        self._fresh = False
        self._viewers: tuple[tuple[Mailbox[bytes], int], ...] = ()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"preview {name}", daemon=True)
        self._thread.start()

    @property
    def viewers(self) -> int:
        return len(self._viewers)

    def offer(self, frame: NDArray[np.uint8]) -> None:
        """Show a frame, `uint8 [H, W, 3]` BGR. It is encoded only when somebody looks."""
        with self._changed:
            self._frame, self._fresh = frame, True
            if self._viewers:
                self._changed.notify()

    @property
    def newest(self) -> NDArray[np.uint8] | None:
        """The newest frame, `uint8 [H, W, 3]` BGR; None before the first."""
        return self._frame

    def snapshot(self) -> bytes | None:
        """Return the newest frame as JPEG; None before the first."""
        frame = self._frame
        return None if frame is None else _encode(frame)

    def subscribe(self, notify: Callable[[], None], width: int = WIDTHS[-1]) -> Mailbox[bytes]:
        """Return a mailbox that receives JPEGs, beginning with the newest frame.

        Args:
            notify: Called as in `Mailbox`.
            width: How many pixels the viewer can show; it gets the smallest of WIDTHS that is not smaller.
        """
        mailbox: Mailbox[bytes] = Mailbox(notify)
        with self._changed:
            self._viewers = (*self._viewers, (mailbox, next((each for each in WIDTHS if each >= width), WIDTHS[-1])))
            self._fresh = self._frame is not None
            self._changed.notify()
        if self._closed:
            mailbox.close()
        return mailbox

    def unsubscribe(self, mailbox: Mailbox[bytes]) -> None:
        with self._changed:
            self._viewers = tuple(other for other in self._viewers if other[0] is not mailbox)

    def close(self) -> None:
        """End the thread and close every mailbox."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        for mailbox, _ in self._viewers:
            mailbox.close()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or (self._fresh and self._viewers))
                if self._closed:
                    return
                frame, self._fresh = self._frame, False
            assert frame is not None
            viewers = self._viewers
            jpegs = {width: _encode(frame, width) for width in {width for _, width in viewers}}
            for mailbox, width in viewers:
                mailbox.put("picture", jpegs[width])


def thumbnail(frame: NDArray[np.uint8]) -> bytes:
    """Return a small JPEG of a frame, `uint8 [H, W, 3]` BGR."""
    return encode_jpeg(_shrunk(frame, THUMBNAIL / min(frame.shape[:2])), QUALITY)


def _encode(frame: NDArray[np.uint8], width: int = WIDTHS[-1]) -> bytes:
    return encode_jpeg(_shrunk(frame, width / frame.shape[1]), QUALITY)


def _shrunk(frame: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    if scale >= 1:
        return frame
    cv2 = load_cv2()
    height, width = frame.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)  # type: ignore[no-any-return]
