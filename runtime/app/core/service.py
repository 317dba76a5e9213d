"""The live service joins the cameras, one recognizer and the subscribers. Page, API, window and MQTT all call it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from runtime.app.core.camera_reader import CameraSource
from runtime.app.core.camera_worker import CameraWorker
from runtime.app.core.cameras import Cameras
from runtime.app.core.hub import Hub
from runtime.app.core.messages import Answer, Camera, GalleryCondition, Site, State
from runtime.app.core.other_model import OtherModel
from runtime.app.core.session import InvalidState
from runtime.app.core.state import gallery_condition, site_of, state_of
from runtime.app.visits.log import VisitLog
from runtime.errors import OptionError
from runtime.recognition import Enrollment
from runtime.recognizer import Recognizer
from runtime.stream.recent_answers import RecentAnswer, Ring
from runtime.stream.strangers import Inbox
from runtime.teaching.coach import Coach
from runtime.teaching.enrolling import Observation
from runtime.teaching.quality import FrameQuality

REMEMBERED = 480  # recent answers that can be explained or rejected: two minutes of one camera, about 20 MB of pictures
REFRESH_S = 1.0  # between two looks at what other processes changed in the gallery file
COALESCE_S = 0.1  # between two messages with the whole state

log = logging.getLogger(__name__)


class AnswerExpired(OptionError, LookupError):
    """The answer is not remembered, or no longer."""


class Service:
    """Runs cameras on one recognizer. Whoever opened the recognizer closes it.

    Args:
        recognizer: The recognizer of all cameras.
        sources: The cameras.
        device: The name of this device.
        other_model: The gallery that was asked for, if another model filled it and the recognizer runs without it.
        on_answer: Called in the camera's thread with every answer, for the metrics.
        open_source: Returns the source for a text as `--source` takes it, for sources that are added and
            remembered; with None they are not remembered.
        visits: Where visits are kept, closed with the service; None for in memory.
        trusted_keys: A folder of public keys, one of which must have signed an archive that is uploaded; None for any.

    Attributes:
        cameras: The cameras.
        other_model: As the argument; None as soon as the gallery fits.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        sources: Sequence[CameraSource],
        *,
        device: str,
        other_model: OtherModel | None = None,
        on_answer: Callable[[Answer], None] = lambda _: None,
        open_source: Callable[[str], CameraSource] | None = None,
        visits: VisitLog | None = None,
        trusted_keys: Path | None = None,
    ) -> None:
        self.recognizer, self.device, self.trusted_keys = recognizer, device, trusted_keys
        self.hub, self.ring, self.inbox = Hub(), Ring(REMEMBERED), Inbox(recognizer.bundle)
        self.visits = visits or VisitLog(None, recognizer.bundle.fingerprint)
        self.other_model = other_model
        self._own_recognizer: Recognizer | None = None
        self._seen: tuple[list[tuple[int, int]], Site | None] = [], None
        self._stop, self._dirty = threading.Event(), threading.Event()
        path = other_model.path if other_model else recognizer.gallery.path
        self.cameras = Cameras(sources, path, open_source, self, on_answer)
        self._maintenance = threading.Thread(target=self._maintain, name="maintenance", daemon=True)

    def start(self) -> None:
        """Open every camera; returns at once."""
        self.visits.start()
        self._maintenance.start()
        self.cameras.start()

    def close(self) -> None:
        """Stop every camera and thread, and close every subscriber's mailbox."""
        self._stop.set()
        self._dirty.set()
        self.cameras.stop()
        self.hub.close()
        self.cameras.join()
        if self._maintenance.ident is not None:  # it was started
            self._maintenance.join()
        self.visits.close()
        if self.other_model is not None:
            self.other_model.join()
        if self._own_recognizer is not None:
            self._own_recognizer.close()

    @property
    def editable(self) -> Recognizer:
        """The recognizer, to change its gallery. Raises GalleryMismatch while another model's gallery is open."""
        if self.other_model is not None:
            raise self.other_model.error()
        return self.recognizer

    @property
    def workers(self) -> dict[str, CameraWorker]:
        """The camera workers by the camera's id."""
        return self.cameras.workers

    def worker(self, id_: str) -> CameraWorker:
        """Return the worker of a camera. Raises UnknownCamera."""
        return self.cameras.worker(id_)

    def camera(self, id_: str) -> Camera:
        return self.worker(id_).camera()

    def state(self) -> State:
        """Return everything except the answers, as it is now."""
        return state_of(self)

    def gallery_condition(self) -> GalleryCondition:
        """Return whether the gallery can be changed, and why not."""
        return gallery_condition(self.recognizer, self.other_model)

    def changed(self) -> None:
        """Publish the state soon, and let the visits follow the gallery now."""
        if self.other_model is None:
            self.visits.follow(self.recognizer.gallery)
        self._dirty.set()

    def start_teaching(self, id_: str, label: str | None) -> Camera:
        """Begin to teach what a camera shows. Raises InvalidLabel, GalleryMismatch."""
        return self.worker(id_).start_teaching(Coach(self.editable, label))

    def stop_teaching(self, id_: str, label: str) -> Enrollment:
        """Store the shots of a teaching session, see `CameraWorker.stop_teaching`."""
        enrollment = self.worker(id_).stop_teaching(label)
        self.inbox.let_go_known(self.recognizer.match_many)
        self.changed()
        return enrollment

    def recent(self, answer: int) -> RecentAnswer:
        """Return a remembered answer. Raises AnswerExpired."""
        found = self.ring.get(answer)
        if found is None:
            raise AnswerExpired(
                f"Answer {answer} must be one of the last {self.ring.capacity} answers, but it is not, or no longer."
            )
        return found

    def named(self, answer: int) -> tuple[RecentAnswer, str]:
        """Return a remembered answer and the class that it names or suggests. Raises AnswerExpired, InvalidState."""
        found = self.recent(answer)
        if found.recognition.candidate is None or found.recognition.certainty == "unknown":
            raise InvalidState(f"Answer {answer} must name or suggest a class, but it was unknown.")
        return found, found.recognition.candidate

    def confirm(self, answer: int, label: str | None) -> Enrollment:
        """Store the frame of an answer as a shot of a class: of its candidate, or of `label`.

        Raises:
            AnswerExpired: The answer is not remembered.
            InvalidState: No label is given, and the answer names or suggests no class.
            GalleryError: The shot could not be stored.
        """
        found, label = self.named(answer) if label is None else (self.recent(answer), label)
        enrollment = self.editable.enroll_observed(label, [_observation(found)], source="confirmed")
        self.changed()
        return enrollment

    def set_stranger_rate(self, rate: float) -> str:
        """Accept at most this share of strangers, 0..1, from now on and after a restart; returns what was done."""
        recognizer = self.editable
        recognizer.gallery.set_stranger_rate(rate)
        recognizer.stranger_rate = rate
        self.changed()
        return f"at most {100 * rate:g} % of strangers may be given a name"

    def reject(self, answer: int) -> str:
        """Store the frame of an answer as a negative example of the class that it names or suggests ("not this").

        Returns:
            What was done, in words.

        Raises:
            AnswerExpired: The answer is not remembered.
            InvalidState: The answer names and suggests no class.
            GalleryError: The example could not be stored.
        """
        found, label = self.named(answer)
        self.editable.reject_observed(_observation(found), label)
        self.changed()
        return f"this is not {label}"

    def undo(self, operation: int | None = None) -> str:
        """Take back the newest change of the gallery, see `Gallery.undo`.

        Args:
            operation: The id of the change that is meant; None for the newest, whichever it is.

        Raises:
            NothingToUndo: There is no change to take back.
            StaleOperation: Another change is the newest.
        """
        what = self.editable.gallery.undo(operation)
        self.changed()
        return what

    def redo(self, operation: int | None = None) -> str:
        """Make the change again that was undone last; argument and errors are those of `undo`."""
        what = self.editable.gallery.redo(operation)
        self.changed()
        return what

    def reembed(self) -> str:
        """Embed the gallery of another model again, in the background. Raises InvalidState.

        Returns:
            What is in progress, in words.
        """
        other = self.other_model
        if other is None:
            raise InvalidState("The gallery must be of another model to be embedded again, but it fits this one.")
        other.start(self.changed, self._reembedded)
        return f"embedding {other.mismatch.shots} shots again"

    def follow_model(self) -> None:
        """Discard what another model has seen: call it after the recognizer was swapped to another bundle."""
        bundle = self.recognizer.bundle
        self.ring, self.inbox = Ring(REMEMBERED), Inbox(bundle)
        self.visits.follow_model(bundle.fingerprint)
        self.changed()

    def _reembedded(self, recognizer: Recognizer) -> None:
        self.recognizer = self._own_recognizer = recognizer
        self.other_model = None

    def _maintain(self) -> None:
        """Publish the state when it changed; look every second for changes of the gallery, its site and the inbox."""
        refreshed_s = time.monotonic()
        while not self._stop.is_set():
            if self._dirty.wait(REFRESH_S):
                self._dirty.clear()
                self._guarded(lambda: self.hub.publish(self.state()))
            if time.monotonic() - refreshed_s >= REFRESH_S:
                refreshed_s = time.monotonic()
                self._guarded(self._refresh)
            self._stop.wait(COALESCE_S)

    def _refresh(self) -> None:
        gallery = self.recognizer.gallery
        seen = [(stranger.id, stranger.seen) for stranger in self.inbox.strangers()], site_of(gallery)
        if gallery.refresh() or seen != self._seen:
            self._seen = seen
            self.changed()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Log an error and go on: the disk may be full, or the gallery file replaced by another."""
        try:
            work()
        except Exception:
            log.exception("The state could not be published; trying again.")


def _observation(answer: RecentAnswer) -> Observation:
    """Return what was seen of the frame of an answer; its quality was not measured."""
    return Observation(answer.recognition.embedding, answer.crop, FrameQuality(0, 255, 1.0))
