"""Reading one camera in a thread: open it, hand on every frame, report its state, and open it again after a loss."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from runtime.app.core.session import STALLED, CameraHealth
from runtime.camera import Frame, FrameSource, open_camera
from runtime.camera.base import State, redact
from runtime.errors import CameraError, EdgefsError

OpenSource = Callable[[], FrameSource]

TICK_S = 0.25  # how often the reader reports a camera that sends no frame
REPORT_S = 1.0  # how often the reader reports a camera that sends frames
RETRY_FIRST_S = 0.5
RETRY_MOST_S = 3.0
JOIN_S = 6.0  # a V4L2 read returns within 2 s, and closing a source takes at most 5 s

log = logging.getLogger(__name__)

MESSAGES: dict[State, str] = {
    "live": "",
    "stalled": STALLED,
    "reconnecting": "The connection is lost; trying again.",
    "ended": "The video has ended.",
}


@dataclass(frozen=True)
class CameraSource:
    """A source of frames that the service can open, and open again after a loss.

    Attributes:
        name: The name shown to people; it holds no credentials.
        open: Opens the source.
        loop: Whether a file is played again when it ends.
        recorded: Whether the frames come from a file or are made on this machine. A late frame of such a source means
            that the machine is busy, not that a camera is lost.
        device: The number of the connected camera that it reads; None for anything else.
    """

    name: str
    open: OpenSource
    loop: bool = False
    recorded: bool = False
    device: int | None = None


def camera_source(text: str, *, loop: bool) -> CameraSource:
    """Return the source that `--source TEXT` names.

    Args:
        text: Any source that `open_camera` takes.
        loop: Whether a file is played again when it ends. Files are played at their own speed.
    """
    recorded = not re.match(r"\d+$|/dev/video|\w[\w+.-]*://", text) and "!" not in text
    number = re.fullmatch(r"(?:/dev/video)?(\d+)", text)
    device = int(number[1]) if number else None
    return CameraSource(redact(text), lambda: open_camera(text, realtime=True), loop and recorded, recorded, device)


class CameraReader:
    """The thread that reads one source.

    Args:
        source: The source to read.
        on_frame: Called in this thread with every frame.
        on_health: Called in this thread with every report of the camera's state.

    Attributes:
        alive_s: The last moment (`time.monotonic()`) at which the thread was seen to run; the watchdog reads it.
        ended: Whether the source came to its end and will not be opened again.
        error: Why a file that is played once could not be played to its end; None while there is no such error.
    """

    def __init__(
        self, source: CameraSource, *, on_frame: Callable[[Frame], None], on_health: Callable[[CameraHealth], None]
    ) -> None:
        self._source, self.device = source, source.device
        self._on_frame, self._on_health = on_frame, on_health
        self._stop = threading.Event()
        self._opened: FrameSource | None = None
        self._times: deque[float] = deque(maxlen=31)  # capture times of the last second or so
        self._size = (0, 0)
        self._reported_s = 0.0
        self._failing = False
        self._drops = 0  # of sources that are closed
        self.alive_s = time.monotonic()
        self.ended = False
        self.error: EdgefsError | None = None
        self._thread = threading.Thread(target=self._run, name=f"read {source.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; `join` waits for that."""
        self._stop.set()
        opened = self._opened
        if opened is not None:
            opened.close()

    def join(self) -> None:
        if self._thread.ident is not None:  # it was started
            self._thread.join(JOIN_S)

    def _run(self) -> None:
        retry_s = RETRY_FIRST_S
        while not self._stop.is_set() and self.error is None:
            try:
                opened = self._source.open()
            except EdgefsError as error:
                if retry_s == RETRY_FIRST_S:  # once, not at every further try
                    log.warning("A camera cannot be opened: %s", redact(str(error)))
                self._report(CameraHealth("missing", redact(str(error))))
                if not self._final(error):
                    self._wait(retry_s)
                retry_s = min(2 * retry_s, RETRY_MOST_S)
                continue
            with opened:
                self._opened = opened
                if not self._stop.is_set() and not self._read(opened):
                    break
                retry_s = RETRY_FIRST_S
            self._opened = None
            self._drops += opened.dropped
        self.ended = True

    def _final(self, error: EdgefsError) -> bool:
        """Keep the error of a file that is played once: opening it again would not help."""
        if self._source.recorded and not self._source.loop:
            self.error = error
        return self.error is not None

    def _read(self, opened: FrameSource) -> bool:
        """Hand on frames until the source ends; return whether to open it again."""
        while not self._stop.is_set():
            self.alive_s = time.monotonic()
            try:
                frame = opened.read(TICK_S)
            except CameraError as error:
                if opened.state == "ended":
                    self._report(self._health(opened, str(error)))
                    if not self._final(error):
                        self._wait(RETRY_FIRST_S)
                    return True
                self._report(self._health(opened))
                continue
            if frame is None:
                if not self._source.loop:
                    self._report(self._health(opened))
                return self._source.loop
            self._note(frame, opened)
            self._hand_on(frame)
        return False

    def _hand_on(self, frame: Frame) -> None:
        """Hand on a frame; an error with one frame must not end the camera."""
        try:
            self._on_frame(frame)
            self._failing = False
        except Exception:
            if not self._failing:  # once, not thirty times a second
                log.exception("A frame of %s could not be answered.", self._source.name)
            self._failing = True

    def _note(self, frame: Frame, opened: FrameSource) -> None:
        self._times.append(frame.time_s)
        size = frame.image.shape[1], frame.image.shape[0]
        if size != self._size or time.monotonic() - self._reported_s >= REPORT_S:
            self._size = size
            self._report(self._health(opened))

    def _health(self, opened: FrameSource, trouble: str = "") -> CameraHealth:
        state: State = "reconnecting" if trouble else opened.state
        if state == "ended" and self._source.loop:
            state = "live"  # it starts again at once
        if state == "stalled" and self._source.recorded:
            state = "live"  # `CameraSession.camera` decides by the age of the newest frame
        width, height = self._size
        return CameraHealth(
            state=state,
            message=redact(trouble) or MESSAGES[state],
            fps=self._fps(),
            drops=self._drops + opened.dropped,
            width=width,
            height=height,
        )

    def _fps(self) -> float | None:
        """Return the measured frames a second; None before the second frame."""
        span_s = self._times[-1] - self._times[0] if len(self._times) > 1 else 0.0
        return round((len(self._times) - 1) / span_s, 1) if span_s > 0 else None

    def _report(self, health: CameraHealth) -> None:
        self._reported_s = time.monotonic()
        self._on_health(health)

    def _wait(self, duration_s: float) -> None:
        """Wait before the next try, and tell the watchdog that the thread runs."""
        self.alive_s = time.monotonic()
        self._stop.wait(duration_s)
