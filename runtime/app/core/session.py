"""What the live app knows and decides, without a camera, a clock or a socket: everything comes in, times included.

One `Stream` a camera: its state, region, smoothing, and the teaching in progress. A recorded stream always gives the
same messages.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.app.core.messages import Answer, Camera, CameraState, Region, Teach
from runtime.errors import OptionError
from runtime.recognition import Enrollment, Recognition
from runtime.stream.smoothing import Smoother
from runtime.teaching.coach import Advice

MAX_KEPT = 32  # views of one lesson: more add little, and their crops stay in memory until they are stored
STALLED = "no picture is coming; check the camera's power and cable or network"
REMEMBER_S = 0.25  # between two remembered answers that say the same
LIVE_S = 0.5  # an older picture is not live, unless the camera is that slow


class Teacher(Protocol):
    """A lesson in progress: `runtime.teaching.coach.Coach`."""

    label: str | None
    refused: int

    @property
    def kept(self) -> Sequence[object]: ...

    def look(self, frame: NDArray[np.uint8]) -> Advice: ...

    def enroll(self, label: str | None = None, *, source: str = ...) -> Enrollment: ...


class NotNow(OptionError):
    """What was asked for is not possible in this state."""


@dataclass(frozen=True)
class Health:
    """What a camera says of itself. fps: as measured."""

    state: CameraState
    message: str = ""
    fps: float | None = None
    drops: int = 0
    width: int = 0
    height: int = 0


class Stream:
    """One camera's part of the session. Not for several threads at once: the service holds a lock around it."""

    def __init__(self, id_: str, name: str, region: Region | None = None) -> None:
        self.id, self.name, self.region = id_, name, region
        self.health = Health("connecting", "opening the camera")
        self.lesson: Teacher | None = None
        self._paused = False
        self._refusal: str | None = None
        self._frame_s: float | None = None  # capture of the newest frame
        self._smoother = Smoother()
        self._remembered: tuple[float, tuple[str | None, str | None], int | None] = (-math.inf, (None, None), None)

    # the camera

    def see(self, health: Health) -> None:
        """Take in how the camera is."""
        self.health = health

    def saw(self, frame_s: float) -> None:
        """Take in when the newest frame was captured, on the clock that `now_s` is on."""
        self._frame_s = frame_s

    def camera(self, now_s: float) -> Camera:
        """How the camera is at a moment. A "live" one has a picture no older than LIVE_S, or three of its frames."""
        health = self.health
        age = None if self._frame_s is None else round(max(0.0, now_s - self._frame_s), 3)
        if health.state == "live" and age is not None and age > max(LIVE_S, 3 / (health.fps or math.inf)):
            health = replace(health, state="stalled", message=STALLED)
        return Camera(
            id=self.id,
            name=self.name,
            state=health.state,
            message=health.message,
            fps=health.fps,
            width=health.width,
            height=health.height,
            region=self.region,
            frame_age_s=age,
            drops=health.drops,
            teaching=self.lesson is not None,
        )

    def look_at(self, region: Region | None) -> None:
        """Look at a part of the picture only; what was stable was said of another part."""
        self.region = region
        self._smoother = Smoother()

    def cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the region of `uint8 [H, W, 3]` as a view, at least one pixel of it."""
        if self.region is None:
            return image
        height, width = image.shape[:2]
        x, y = min(int(self.region.x * width), width - 1), min(int(self.region.y * height), height - 1)
        right = max(x + 1, min(width, round((self.region.x + self.region.w) * width)))
        bottom = max(y + 1, min(height, round((self.region.y + self.region.h) * height)))
        return image[y:bottom, x:right]

    # the answer

    def remembered(self, recognition: Recognition, now_s: float, remember: Callable[[], int]) -> int | None:
        """Remember an answer if it says something new or the last one is a while ago; the id to ask about it later.

        now_s: capture of the frame.
        """
        at_s, said, id_ = self._remembered
        says = (recognition.label, recognition.candidate)
        if says != said or now_s - at_s >= REMEMBER_S:
            id_ = remember()
            self._remembered = (now_s, says, id_)
        return id_

    def answer(self, recognition: Recognition, now_s: float, id_: int | None, timings_ms: dict[str, float]) -> Answer:
        """Smooth one answer. now_s: capture of the frame.  timings_ms: the whole receipt."""
        stable = self._smoother.update(recognition, now_s).label
        return Answer(
            camera=self.id,
            id=id_,
            label=recognition.label,
            stable=stable,
            candidate=recognition.candidate,
            score=finite(recognition.score),
            threshold=finite(recognition.threshold),
            runner_up=recognition.runner_up,
            margin=finite(recognition.margin),
            check=recognition.check,
            age_ms=timings_ms["total"],
            timings_ms=timings_ms,
        )

    # teaching

    def teach(self, teacher: Teacher) -> None:
        """Begin a lesson; one that was going on is given up."""
        self.lesson, self._paused, self._refusal = teacher, False, None

    def pause_lesson(self) -> None:
        """Look at no more frames, but keep what was kept until it has a name. Raises NotNow."""
        self._teacher()
        self._paused = True

    def put_back(self, lesson: Teacher) -> None:
        """Put back a lesson that could not be stored, unless another has begun."""
        if self.lesson is None:
            self.lesson, self._paused = lesson, True

    def lesson_look(self, frame: NDArray[np.uint8], thumbnail: Callable[[NDArray[np.uint8]], bytes]) -> Teach | None:
        """Show a frame to the lesson in progress; None when there is none, or it is paused."""
        lesson = self.lesson
        if lesson is None or self._paused:
            return None
        if len(lesson.kept) >= MAX_KEPT:
            advice = Advice(False, "enough", f"{MAX_KEPT} views are enough for one lesson: let go to store them")
            lesson.refused += 1
        else:
            advice = lesson.look(frame)
        news = advice.accepted or advice.reason != self._refusal  # the same refusal again needs no other picture
        self._refusal = advice.reason
        thumb = "data:image/jpeg;base64," + base64.b64encode(thumbnail(frame)).decode() if news else None
        kept, refused = len(lesson.kept), lesson.refused
        return Teach(self.id, kept, refused, advice.accepted, advice.reason, advice.line, thumb)

    def end_lesson(self) -> Teacher:
        """Give back the lesson in progress. Raises NotNow."""
        lesson = self._teacher()
        self.lesson = None
        return lesson

    def _teacher(self) -> Teacher:
        if self.lesson is None:
            raise NotNow(f"camera {self.id} must be teaching, but is not; do: POST cameras/{self.id}/teach first")
        return self.lesson


def finite(value: float) -> float | None:
    """A number fit for JSON: -inf, the score of an empty gallery, becomes null."""
    return float(value) if math.isfinite(value) else None
