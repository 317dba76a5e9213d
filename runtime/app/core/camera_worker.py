"""One camera of the service: the thread that reads it, what is known of it, its preview, and the way of its frames."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from runtime.app.core.cameras import CameraThread, OpenSource
from runtime.app.core.hub import Hub
from runtime.app.core.messages import Answer, Camera, Region
from runtime.app.core.preview import Preview, thumbnail
from runtime.app.core.session import Health, Stream
from runtime.camera import Frame
from runtime.recognition import Enrollment, Recognition
from runtime.recognizer import Recognizer
from runtime.stream.recent_answers import Ring
from runtime.stream.strangers import Inbox
from runtime.teaching.coach import Coach
from runtime.teaching.enrolling import crop_of


@dataclass(frozen=True)
class Source:
    """A camera to watch. name: for people, without credentials.  again: play a file in a loop."""

    name: str
    open: OpenSource
    again: bool = False


class Shared(Protocol):
    """What all cameras have in common: the service. The recognizer may become another one while they run."""

    recognizer: Recognizer
    hub: Hub
    ring: Ring
    inbox: Inbox


class Eye:
    """A camera. on_answer: called for every answer, in its thread."""

    def __init__(
        self, id_: str, source: Source, region: Region | None, shared: Shared, on_answer: Callable[[Answer], None]
    ) -> None:
        self.stream = Stream(id_, source.name, region)
        self.preview = Preview(source.name)
        self.thread = CameraThread(
            source.name, source.open, again=source.again, on_frame=self._frame, on_health=self._health
        )
        self._shared, self._on_answer = shared, on_answer
        self._lock = threading.Lock()  # around the stream

    def camera(self) -> Camera:
        """How it is now."""
        return self.stream.camera(time.monotonic())

    def look_at(self, region: Region | None) -> Camera:
        """Look at a part of the picture only."""
        with self._lock:
            self.stream.look_at(region)
        return self._told()

    def start_lesson(self, coach: Coach) -> Camera:
        """Begin to teach what it shows."""
        with self._lock:
            self.stream.teach(coach)
        return self._told()

    def pause_lesson(self) -> Camera:
        """Look at no more frames until the lesson gets its name. Raises NotNow."""
        with self._lock:
            self.stream.pause_lesson()
        return self.camera()

    def end_lesson(self, label: str) -> Enrollment:
        """Store what a lesson kept. If that fails the lesson is still there, paused. Raises NotNow, GalleryError."""
        with self._lock:
            lesson = self.stream.end_lesson()
        try:
            return lesson.enroll(label, source=f"camera {self.stream.name}")
        except BaseException:
            with self._lock:
                self.stream.put_back(lesson)
            raise
        finally:
            self._told()

    def cancel_lesson(self) -> Camera:
        """Give the lesson up. Raises NotNow."""
        with self._lock:
            self.stream.end_lesson()
        return self._told()

    def _told(self) -> Camera:
        camera = self.camera()
        self._shared.hub.publish(camera)
        return camera

    def _health(self, health: Health) -> None:
        with self._lock:
            self.stream.see(health)
        self._told()

    def _frame(self, frame: Frame) -> None:
        """Recognise a frame and tell everyone; show it to the lesson in progress, or put a stranger into the inbox."""
        picked_s = time.monotonic()
        self.stream.saw(frame.time_s)
        self.preview.offer(frame.image)
        image = self.stream.cut(frame.image)
        recognition = self._shared.recognizer.recognize(image)
        matched_s = time.monotonic()
        crop: bytes | None = None

        def remember() -> int:
            nonlocal crop
            crop = crop_of(image)
            return self._shared.ring.add(recognition, crop, time.time())

        with self._lock:
            teach = self.stream.lesson_look(image, thumbnail)
            id_ = self.stream.remembered(recognition, frame.time_s, remember)
            receipt = _receipt(frame, recognition, picked_s, matched_s)
            answer = self.stream.answer(recognition, frame.time_s, id_, receipt)
        if teach is not None:
            self._shared.hub.publish(teach)
        elif crop is not None and recognition.candidate is not None:  # in an empty gallery everything is a stranger
            self._shared.inbox.add(recognition, crop, time.time())
            self._shared.recognizer.bank.offer(recognition, time.time())
        self._shared.hub.publish(answer)
        self._on_answer(answer)


def _receipt(frame: Frame, recognition: Recognition, picked_s: float, matched_s: float) -> dict[str, float]:
    """Milliseconds of every stage from the glass to now."""
    now_s = time.monotonic()
    stages = {
        "capture": (picked_s - frame.time_s) * 1e3 - frame.decode_ms,
        "decode": frame.decode_ms,
        **recognition.timings_ms,
        "publish": (now_s - matched_s) * 1e3,
        "total": (now_s - frame.time_s) * 1e3,
    }
    return {stage: round(max(0.0, ms), 2) for stage, ms in stages.items()}
