"""The state of one camera and the decisions about it: health, region, smoothing and the teaching session.

Nothing here touches a camera, a clock or a socket. Times come in as arguments, so a recorded stream of frames always
gives the same messages.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.app.core.messages import Answer, Camera, CameraState, FrameRegion, Teach
from runtime.errors import OptionError
from runtime.recognition import Enrollment, Recognition
from runtime.stream.smoothing import Smoother
from runtime.teaching.coach import Advice
from runtime.teaching.motion import MotionBox

MAX_KEPT = 32  # views of one session: more add little, and their crops stay in memory until they are stored
STALLED = "No frame is coming. Check the camera's power and its cable or network."
BUSY = "Frames come late because this machine is busy."
REMEMBER_S = 0.25  # between two remembered answers that are equal
LIVE_S = 0.5  # an older frame is not live, unless the camera is that slow
RECORDED_LIVE_S = 10.0  # the same for a file, whose frames come late only when the machine is busy


class TeachingSession(Protocol):
    """What collects the shots of one class while a person shows it: `runtime.teaching.coach.Coach`."""

    label: str | None
    refused: int

    @property
    def kept(self) -> Sequence[object]: ...

    def look(self, frame: NDArray[np.uint8]) -> Advice: ...

    def cut(self, part: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> None: ...

    def enroll(self, label: str | None = None, *, source: str = ...) -> Enrollment: ...


class InvalidState(OptionError):
    """The request is not possible in the present state."""


@dataclass(frozen=True)
class CameraHealth:
    """What the reader reports of a camera. `fps` is measured; None before the second frame."""

    state: CameraState
    message: str = ""
    fps: float | None = None
    drops: int = 0
    width: int = 0
    height: int = 0


class CameraSession:
    """The state of one camera. Not safe from several threads: `CameraWorker` holds a lock around it.

    Args:
        id_: The camera's id in the API.
        name: The camera's name for people.
        region: The part of the frame that is looked at; None for the whole frame.
        recorded: Whether frames come from a file, see `CameraSource`.
    """

    def __init__(self, id_: str, name: str, region: FrameRegion | None = None, *, recorded: bool = False) -> None:
        self.id, self.name, self.region = id_, name, region
        self.health = CameraHealth("connecting", "Opening the camera.")
        self.teaching: TeachingSession | None = None
        self.newest_s: float | None = None  # capture time of the newest frame, on the clock of `now_s`
        self._recorded = recorded
        self._paused = False
        self._refusal: str | None = None
        self._motion: MotionBox | None = None
        self._restart_smoothing()
        self._remembered: tuple[float, tuple[str | None, ...], int | None] = (-math.inf, (), None)

    def camera(self, now_s: float) -> Camera:
        """Return the camera's state at `now_s` (seconds, `time.monotonic()`).

        A camera is "live" while its newest frame is younger than LIVE_S or than three of its frame intervals.
        """
        health = self.health
        age = None if self.newest_s is None else round(max(0.0, now_s - self.newest_s), 3)
        limit_s = RECORDED_LIVE_S if self._recorded else max(LIVE_S, 3 / (health.fps or math.inf))
        if health.state == "live" and age is not None and age > limit_s:
            health = replace(health, state="stalled", message=BUSY if self._recorded else STALLED)
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
            teaching=self.teaching is not None,
        )

    def set_region(self, region: FrameRegion | None) -> None:
        """Look at a part of the frame from now on; the smoothed answer starts again, because it was about another."""
        self.region = region
        self._restart_smoothing()

    def cut(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the region of a frame, `uint8 [H, W, 3]`, as a view of at least one pixel."""
        if self.region is None:
            return frame
        height, width = frame.shape[:2]
        x, y = min(int(self.region.x * width), width - 1), min(int(self.region.y * height), height - 1)
        right = max(x + 1, min(width, round((self.region.x + self.region.w) * width)))
        bottom = max(y + 1, min(height, round((self.region.y + self.region.h) * height)))
        return frame[y:bottom, x:right]

    def remember(self, recognition: Recognition, now_s: float, store: Callable[[], int]) -> int | None:
        """Remember an answer if it differs from the last remembered one, or if that one is older than REMEMBER_S.

        Args:
            recognition: The answer.
            now_s: The capture time of its frame.
            store: Stores the answer and returns its id.

        Returns:
            The id under which `answers/{id}` knows the answer.
        """
        at_s, said, id_ = self._remembered
        says = (recognition.label, recognition.certainty, recognition.candidate)
        if says != said or now_s - at_s >= REMEMBER_S:
            id_ = store()
            self._remembered = (now_s, says, id_)
        return id_

    def answer(self, recognition: Recognition, now_s: float, id_: int | None, timings_ms: dict[str, float]) -> Answer:
        """Return the message for one answer, with the smoothed answer.

        Args:
            recognition: The answer.
            now_s: The capture time of its frame.
            id_: What `remember` returned.
            timings_ms: Milliseconds of every stage, and their "total".
        """
        sure = recognition.certainty
        likely = replace(recognition, label=None if sure == "unknown" else recognition.candidate)
        stable = self._sure.update(recognition, now_s).label
        suggestion = self._likely.update(likely, now_s).label
        return Answer(
            camera=self.id,
            id=id_,
            stable=stable,
            suggestion=suggestion if stable is None else None,
            label=recognition.label,
            certainty=sure,
            candidate=recognition.candidate,
            score=finite(recognition.score),
            threshold=finite(recognition.threshold),
            runner_up=recognition.runner_up,
            margin=finite(recognition.margin),
            check=recognition.check,
            age_ms=timings_ms["total"],
            timings_ms=timings_ms,
        )

    def start_teaching(self, teaching: TeachingSession) -> None:
        """Begin a teaching session; one that was in progress is discarded."""
        self.teaching, self._paused, self._refusal = teaching, False, None
        self._motion = MotionBox() if self.region is None else None

    def pause_teaching(self) -> None:
        """Look at no more frames, and keep the shots until they get a name. Raises InvalidState."""
        self._require_teaching()
        self._paused = True

    def cut_teaching(self, region: FrameRegion) -> None:
        """Look at a region from now on, and keep only that part of what the session has kept.

        Raises:
            InvalidState: No session is in progress, or the camera looks at a region already.
            OptionError: What was kept cannot be cut; nothing was changed.
        """
        teaching = self._require_teaching()
        if self.region is not None:
            raise InvalidState(f"Camera {self.id} must look at the whole frame, but it looks at a region already.")
        self.set_region(region)
        try:
            teaching.cut(self.cut)
        except OptionError:
            self.set_region(None)
            raise
        self._motion = None

    def end_teaching(self) -> TeachingSession:
        """End the teaching session and return it. Raises InvalidState."""
        teaching = self._require_teaching()
        self.teaching = None
        return teaching

    def restore_teaching(self, teaching: TeachingSession) -> None:
        """Restore, paused, a session whose shots could not be stored, unless another one has begun."""
        if self.teaching is None:
            self.teaching, self._paused = teaching, True

    def teach(self, frame: NDArray[np.uint8], thumbnail: Callable[[NDArray[np.uint8]], bytes]) -> Teach | None:
        """Show a frame, `uint8 [H, W, 3]`, to the teaching session; None when there is none or it is paused."""
        teaching = self.teaching
        if teaching is None or self._paused:
            return None
        if len(teaching.kept) >= MAX_KEPT:
            line = f"{MAX_KEPT} views are enough for one session. Let go to store them."
            advice = Advice(False, "enough", line)
            teaching.refused += 1
        else:
            advice = teaching.look(frame)
        new = advice.accepted or advice.reason != self._refusal  # an equal refusal needs no other picture
        self._refusal = advice.reason
        thumb = "data:image/jpeg;base64," + base64.b64encode(thumbnail(frame)).decode() if new else None
        kept, refused = len(teaching.kept), teaching.refused
        region = None
        if self._motion is not None:
            self._motion.add(frame)
            box = self._motion.box()
            region = None if box is None else FrameRegion(*(round(part, 4) for part in box))
        return Teach(self.id, kept, refused, advice.accepted, advice.reason, advice.line, thumb, region)

    def _restart_smoothing(self) -> None:
        self._sure = Smoother()  # of the labels
        self._likely = Smoother()  # of the labels and of the candidates that may be right

    def _require_teaching(self) -> TeachingSession:
        if self.teaching is None:
            raise InvalidState(
                f"Camera {self.id} must be teaching, but it is not. Call POST cameras/{self.id}/teach first."
            )
        return self.teaching


def finite(value: float) -> float | None:
    """Return the number, or None if it is not finite: JSON has no infinity (-inf is the score of an empty gallery)."""
    return float(value) if math.isfinite(value) else None
