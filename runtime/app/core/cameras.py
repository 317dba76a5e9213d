"""One thread a camera: open it, hand every frame on, say how it is, and open it again for ever when it is gone."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from runtime.app.core.session import STALLED, Health
from runtime.camera import Frame, FrameSource
from runtime.camera.base import State, redact
from runtime.errors import CameraError, EdgefsError

OpenSource = Callable[[], FrameSource]

TICK_S = 0.25  # how often a silent camera is looked at
REPORT_S = 1.0  # how often a well one is reported
RETRY_FIRST_S = 0.5
RETRY_MOST_S = 3.0
JOIN_S = 6.0  # a V4L2 read returns within 2 s, closing a source within 5

log = logging.getLogger(__name__)

MESSAGES: dict[State, str] = {
    "live": "",
    "stalled": STALLED,
    "reconnecting": "the connection is lost; trying again",
    "ended": "the video has ended",
}


class CameraThread:
    """Reads one source. on_frame, on_health: called in this thread, one call at a time.

    again: open a source that ended anew (a file that is to play in a loop).
    """

    def __init__(
        self,
        name: str,
        open_source: OpenSource,
        *,
        again: bool,
        on_frame: Callable[[Frame], None],
        on_health: Callable[[Health], None],
    ) -> None:
        self._name, self._open, self._again = name, open_source, again
        self._on_frame, self._on_health = on_frame, on_health
        self._stop = threading.Event()
        self._source: FrameSource | None = None
        self._times: deque[float] = deque(maxlen=31)  # captures of the last second or so
        self._size = (0, 0)
        self._reported_s = 0.0
        self._failing = False
        self._drops = 0  # of sources that are closed
        self.alive_s = time.monotonic()  # proof that this thread is not stuck, for the watchdog
        self.ended = False
        self._thread = threading.Thread(target=self._run, name=f"watch {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; `join` waits for that."""
        self._stop.set()
        source = self._source
        if source is not None:
            source.close()

    def join(self) -> None:
        if self._thread.ident is not None:  # it was started
            self._thread.join(JOIN_S)

    def _run(self) -> None:
        retry_s = RETRY_FIRST_S
        while not self._stop.is_set():
            try:
                source = self._open()
            except EdgefsError as error:
                self._report(Health("missing", redact(str(error))))
                self._rest(retry_s)
                retry_s = min(2 * retry_s, RETRY_MOST_S)
                continue
            with source:
                self._source = source
                if not self._stop.is_set() and not self._watch(source):
                    break
                retry_s = RETRY_FIRST_S
            self._source = None
            self._drops += source.dropped
        self.ended = True

    def _watch(self, source: FrameSource) -> bool:
        """Hand on frames until the source ends; says whether to open it again."""
        while not self._stop.is_set():
            self.alive_s = time.monotonic()
            try:
                frame = source.read(TICK_S)
            except CameraError as error:
                if source.state == "ended":
                    self._report(self._health(source, str(error)))
                    self._rest(RETRY_FIRST_S)
                    return True
                self._report(self._health(source))
                continue
            if frame is None:
                if not self._again:
                    self._report(self._health(source))
                return self._again
            self._note(frame, source)
            self._answer(frame)
        return False

    def _answer(self, frame: Frame) -> None:
        """Hand a frame on; what goes wrong with one must not end the camera."""
        try:
            self._on_frame(frame)
            self._failing = False
        except Exception:
            if not self._failing:  # once, not thirty times a second
                log.exception("a frame of %s could not be answered", self._name)
            self._failing = True

    def _note(self, frame: Frame, source: FrameSource) -> None:
        self._times.append(frame.time_s)
        size = frame.image.shape[1], frame.image.shape[0]
        if size != self._size or time.monotonic() - self._reported_s >= REPORT_S:
            self._size = size
            self._report(self._health(source))

    def _health(self, source: FrameSource, trouble: str = "") -> Health:
        state = "reconnecting" if trouble else source.state
        if state == "ended" and self._again:
            state = "live"  # it starts anew at once
        width, height = self._size
        return Health(
            state=state,
            message=redact(trouble) or MESSAGES[state],
            fps=self._fps(),
            drops=self._drops + source.dropped,
            width=width,
            height=height,
        )

    def _fps(self) -> float | None:
        """As measured; None before the second frame."""
        span_s = self._times[-1] - self._times[0] if len(self._times) > 1 else 0.0
        return round((len(self._times) - 1) / span_s, 1) if span_s > 0 else None

    def _report(self, health: Health) -> None:
        self._reported_s = time.monotonic()
        self._on_health(health)

    def _rest(self, duration_s: float) -> None:
        """Wait, and stay alive to the watchdog."""
        self.alive_s = time.monotonic()
        self._stop.wait(duration_s)
