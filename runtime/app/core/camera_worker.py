"""One camera of the service: its reader thread, its session, its preview, and the way of its frames to an answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from runtime.app.core.camera_reader import CameraReader, CameraSource
from runtime.app.core.hub import Hub
from runtime.app.core.messages import Answer, Camera, FrameRegion, NamedRegion, RegionAnswer
from runtime.app.core.preview import Preview, thumbnail
from runtime.app.core.region_watch import RegionWatch, place
from runtime.app.core.regions import CameraRegions
from runtime.app.core.session import CameraHealth, CameraSession, InvalidState
from runtime.app.visits.log import VisitLog
from runtime.app.visits.tracker import Sight, View
from runtime.camera import Frame
from runtime.recognition import Enrollment, Recognition
from runtime.recognizer import Recognizer
from runtime.stream.joining import Joiner
from runtime.stream.recent_answers import Ring
from runtime.stream.strangers import Inbox
from runtime.teaching.coach import Coach
from runtime.teaching.enrolling import crop_of


class Shared(Protocol):
    """What all cameras share: `Service`. Its recognizer may be replaced while they run."""

    recognizer: Recognizer
    hub: Hub
    ring: Ring
    inbox: Inbox
    visits: VisitLog


class CameraWorker:
    """One camera.

    Args:
        id_: The camera's id in the API.
        source: What to read.
        regions: The part of the frame to look at, and the named regions.
        shared: The service.
        on_answer: Called in the camera's thread with every answer.
    """

    def __init__(
        self,
        id_: str,
        source: CameraSource,
        regions: CameraRegions,
        shared: Shared,
        on_answer: Callable[[Answer], None],
    ) -> None:
        self.session = CameraSession(id_, source.name, regions.region, recorded=source.recorded)
        self.preview = Preview(source.name)
        self.reader = CameraReader(source, on_frame=self.look, on_health=self._health)
        self._shared, self._on_answer = shared, on_answer
        self._lock = threading.Lock()  # around the session
        self._joiner = Joiner(shared.recognizer.bundle.metric)
        self._watches = self._watched(regions.named)
        self._stranger: int | None = None  # the one that the newest unknown frame shows

    def camera(self) -> Camera:
        """Return the camera's present state."""
        named = [watch.named for watch in self._watches]
        return structs.replace(self.session.camera(time.monotonic()), regions=named)

    def set_named(self, regions: list[NamedRegion]) -> Camera:
        """Answer these regions too, instead of those before."""
        self._watches = self._watched(regions)
        return self._publish()

    def set_region(self, region: FrameRegion | None) -> Camera:
        """Look at a part of the frame only; None for the whole frame."""
        with self._lock:
            self.session.set_region(region)
            self._joiner = Joiner(self._shared.recognizer.bundle.metric)
        return self._publish()

    def start_teaching(self, coach: Coach) -> Camera:
        """Begin a teaching session with what the camera shows. Raises InvalidState if it cannot be opened."""
        with self._lock:
            if self.session.health.state == "missing":
                raise InvalidState(
                    f"{self.session.name} must show a picture to be taught from, but it cannot be opened: "
                    f"{self.session.health.message}"
                )
            self.session.start_teaching(coach)
        return self._publish()

    def pause_teaching(self) -> Camera:
        """Look at no more frames until the shots get a name. Raises InvalidState."""
        with self._lock:
            self.session.pause_teaching()
        return self.camera()

    def cut_teaching(self, region: FrameRegion) -> Camera:
        """Look at a region, and keep only that part of what the teaching session has kept. Raises InvalidState."""
        with self._lock:
            self.session.cut_teaching(region)
            self._joiner = Joiner(self._shared.recognizer.bundle.metric)
        return self._publish()

    def stop_teaching(self, label: str) -> Enrollment:
        """Store the shots of the teaching session under a label.

        Raises:
            InvalidState: No teaching session is in progress.
            GalleryError: The shots could not be stored; the session is still there, paused.
        """
        with self._lock:
            teaching = self.session.end_teaching()
        try:
            return teaching.enroll(label, source=f"camera {self.session.name}")
        except BaseException:
            with self._lock:
                self.session.restore_teaching(teaching)
            raise
        finally:
            self._publish()

    def cancel_teaching(self) -> Camera:
        """Discard the teaching session. Raises InvalidState."""
        with self._lock:
            self.session.end_teaching()
        return self._publish()

    def look(self, frame: Frame) -> None:
        """Recognise a frame and publish the answer; the teaching session or the inbox of strangers gets it too."""
        picked_s = time.monotonic()
        self.session.newest_s = frame.time_s
        self.preview.offer(frame.image)
        image = self.session.cut(frame.image)
        recognizer, ring, inbox = self._shared.recognizer, self._shared.ring, self._shared.inbox
        model = recognizer.bundle.fingerprint
        recognition = self._joined(self._joiner, recognizer.recognize(image), frame.time_s)
        if recognizer.bundle.fingerprint != model:  # swapped during this frame: nobody knows which of them has seen it
            return
        matched_s = time.monotonic()
        with self._lock:
            teach = self.session.teach(image, thumbnail)
            id_, crop = self._remember(ring, self.session, recognition, image, frame.time_s)
            timings_ms = _timings(frame, recognition, picked_s, matched_s)
            answer = self.session.answer(recognition, frame.time_s, id_, timings_ms)
        if teach is not None:
            self._shared.hub.publish(teach)
        elif crop is not None and recognition.candidate is not None:  # in an empty gallery everything is a stranger
            self._stranger = inbox.add(recognition, crop, time.time())
        if teach is None and recognition.candidate is not None:
            self._visit(self.session.name, answer, recognition, crop, self._stranger)
        self._shared.hub.publish(answer)
        self._on_answer(answer)
        if teach is None:
            self._look_at_regions(frame)

    def _remember(
        self, ring: Ring, session: CameraSession, recognition: Recognition, image: NDArray[np.uint8], time_s: float
    ) -> tuple[int | None, bytes | None]:
        """Return the id of an answer, and its picture if this is a new one."""
        crop: bytes | None = None

        def store() -> int:
            nonlocal crop
            crop = crop_of(image)
            return ring.add(recognition, crop, time.time())

        return session.remember(recognition, time_s, store), crop

    def _look_at_regions(self, frame: Frame) -> None:
        """Recognise every named region of a frame, all in one batch, and publish their answers."""
        watches = self._watches
        images = [watch.session.cut(frame.image) for watch in watches]
        recognizer, ring = self._shared.recognizer, self._shared.ring
        model = recognizer.bundle.fingerprint
        found = recognizer.recognize_many(images) if images else []
        if recognizer.bundle.fingerprint != model:  # as in `look`
            return
        for watch, image, alone in zip(watches, images, found, strict=True):
            recognition = self._joined(watch.joiner, alone, frame.time_s)
            id_, crop = self._remember(ring, watch.session, recognition, image, frame.time_s)
            answer = watch.answer(recognition, frame.time_s, id_, round((time.monotonic() - frame.time_s) * 1e3, 2))
            if recognition.candidate is not None:
                self._visit(place(self.session.name, watch.named.name), answer, recognition, crop)
            self._shared.hub.publish(answer)

    def _watched(self, regions: list[NamedRegion]) -> tuple[RegionWatch, ...]:
        metric = self._shared.recognizer.bundle.metric
        return tuple(RegionWatch(self.session.id, named, metric) for named in regions)

    def _visit(
        self,
        camera: str,
        answer: Answer | RegionAnswer,
        recognition: Recognition,
        crop: bytes | None,
        stranger: int | None = None,
    ) -> None:
        """Report the smoothed answer to the log of visits; it has a picture only if the gallery keeps crops."""
        label = answer.stable or answer.suggestion
        certainty = "sure" if answer.stable else "maybe" if answer.suggestion else "unknown"
        view = None
        if crop is not None and (label is None or recognition.candidate == label):
            view = View(recognition.embedding, crop if self._shared.recognizer.gallery.keep_crops else None)
        stranger = stranger if label is None else None
        sight = Sight(camera, label, certainty, recognition.candidate, answer.score, stranger, view)
        self._shared.visits.look(sight)

    def _publish(self) -> Camera:
        camera = self.camera()
        self._shared.hub.publish(camera)
        return camera

    def _health(self, health: CameraHealth) -> None:
        with self._lock:
            self.session.health = health
        self._publish()

    def _joined(self, joiner: Joiner, recognition: Recognition, time_s: float) -> Recognition:
        """Decide by the mean of the last frames instead of one frame; the embedding stays that of the frame."""
        mean = joiner.add(recognition.embedding, time_s)
        if mean is recognition.embedding or recognition.candidate is None:
            return recognition
        answer = self._shared.recognizer.match(mean)
        spent = {stage: recognition.timings_ms[stage] + answer.timings_ms[stage] for stage in answer.timings_ms}
        return replace(answer, embedding=recognition.embedding, timings_ms=spent)


def _timings(frame: Frame, recognition: Recognition, picked_s: float, matched_s: float) -> dict[str, float]:
    """Return the milliseconds of every stage from the capture to now."""
    now_s = time.monotonic()
    stages = {
        "capture": (picked_s - frame.time_s) * 1e3 - frame.decode_ms,
        "decode": frame.decode_ms,
        **recognition.timings_ms,
        "publish": (now_s - matched_s) * 1e3,
        "total": (now_s - frame.time_s) * 1e3,
    }
    return {stage: round(max(0.0, ms), 2) for stage, ms in stages.items()}
