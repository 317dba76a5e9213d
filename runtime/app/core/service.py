"""The live service joins the cameras, one recognizer and the subscribers. Page, API, window and MQTT all call it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from runtime.app.core.camera_reader import CameraSource
from runtime.app.core.camera_worker import CameraWorker
from runtime.app.core.hub import Hub
from runtime.app.core.messages import (
    Answer,
    BundleInfo,
    Camera,
    Class,
    FrameRegion,
    GalleryCondition,
    GalleryState,
    NamedRegion,
    Operation,
    State,
    Stranger,
)
from runtime.app.core.other_model import OtherModel
from runtime.app.core.regions import Regions
from runtime.app.core.session import InvalidState
from runtime.app.core.sources import AddedSources
from runtime.app.visits.log import VisitLog
from runtime.errors import EdgefsError, OptionError
from runtime.gallery.base import Operation as GalleryOperation
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


class UnknownCamera(OptionError, LookupError):
    """No camera has this id."""


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
        workers: The camera workers by the camera's id.
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
        self._other_model = other_model
        self._own_recognizer: Recognizer | None = None
        self._regions = Regions(other_model.path if other_model else recognizer.gallery.path)
        self._strangers: list[tuple[int, int]] = []
        self._stop, self._dirty = threading.Event(), threading.Event()
        self._on_answer, self._changing = on_answer, threading.Lock()
        path = other_model.path if other_model else recognizer.gallery.path
        self.added = AddedSources(path if open_source else None, open_source)
        opened = {str(i): source for i, source in enumerate(sources)} | self.added.remembered()
        self.workers = {id_: self._worker(id_, source) for id_, source in opened.items()}
        self._maintenance = threading.Thread(target=self._maintain, name="maintenance", daemon=True)

    def start(self) -> None:
        """Open every camera; returns at once."""
        self.visits.start()
        self._maintenance.start()
        for worker in self.workers.values():
            worker.reader.start()

    def close(self) -> None:
        """Stop every camera and thread, and close every subscriber's mailbox."""
        self._stop.set()
        self._dirty.set()
        for worker in self.workers.values():
            worker.reader.stop()
        self.hub.close()
        for worker in self.workers.values():
            worker.reader.join()
            worker.preview.close()
        if self._maintenance.ident is not None:  # it was started
            self._maintenance.join()
        self.visits.close()
        if self._other_model is not None:
            self._other_model.join()
        if self._own_recognizer is not None:
            self._own_recognizer.close()

    @property
    def editable(self) -> Recognizer:
        """The recognizer, to change its gallery. Raises GalleryMismatch while another model's gallery is open."""
        if self._other_model is not None:
            raise self._other_model.error()
        return self.recognizer

    @property
    def ended(self) -> bool:
        """Whether every source came to its end."""
        return all(worker.reader.ended for worker in self.workers.values())

    @property
    def error(self) -> EdgefsError | None:
        """Why the first file that is played once could not be played to its end; None if there is none."""
        return next((worker.reader.error for worker in self.workers.values() if worker.reader.error), None)

    @property
    def alive_s(self) -> float:
        """The last moment (`time.monotonic()`) at which every thread was seen to run."""
        readers = [worker.reader for worker in self.workers.values()]
        return min((reader.alive_s for reader in readers if not reader.ended), default=time.monotonic())

    def worker(self, id_: str) -> CameraWorker:
        """Return the worker of a camera. Raises UnknownCamera."""
        if id_ not in self.workers:
            raise UnknownCamera(f"The camera must be one of {', '.join(self.workers) or 'none'}, but got {id_!r}.")
        return self.workers[id_]

    def camera(self, id_: str) -> Camera:
        return self.worker(id_).camera()

    def add_camera(self, what: str, name: str | None) -> Camera:
        """Open another source, also after a restart; arguments and errors are those of `AddedSources.add`."""
        with self._changing:
            id_, source = self.added.add(what, name, {worker.session.name for worker in self.workers.values()})
            worker = self._worker(id_, source)
            self.workers = {**self.workers, id_: worker}  # replaced as a whole: other threads iterate over it
            worker.reader.start()
        self.changed()
        return worker.camera()

    def rename_camera(self, id_: str, name: str) -> Camera:
        """Give a camera another name, which keeps its region. Raises UnknownCamera, OptionError."""
        with self._changing:
            worker = self.worker(id_)
            if any(each.session.name == name for each in self.workers.values() if each is not worker):
                raise OptionError(f"The name of a camera must be its own, but another one is called {name!r}.")
            self._regions.rename(worker.session.name, name)
            self.added.rename(id_, name)
            worker.session.name = name
        self.changed()
        return worker.camera()

    def remove_camera(self, id_: str) -> str:
        """Close a camera and discard its teaching session; returns what was done. Raises UnknownCamera."""
        with self._changing:
            worker = self.worker(id_)
            self.workers = {other: each for other, each in self.workers.items() if other != id_}
            self.added.remove(id_)
        worker.reader.stop()
        worker.reader.join()
        worker.preview.close()
        self.changed()
        return f"removed {worker.session.name}"

    def _worker(self, id_: str, source: CameraSource) -> CameraWorker:
        return CameraWorker(id_, source, self._regions.get(source.name), self, self._on_answer)

    def state(self) -> State:
        """Return everything except the answers, as it is now."""
        recognizer = self.recognizer
        return State(
            device=self.device,
            bundle=_bundle_info(recognizer),
            gallery=self._gallery(),
            cameras=[self.camera(id_) for id_ in self.workers],
            classes=self.classes(),
            inbox=self.strangers(),
            undo=_operation(recognizer.gallery.history()),
            redo=_operation(recognizer.gallery.undone()),
            stranger_rate=recognizer.stranger_rate,
            viewers=self.hub.subscribers,
        )

    def gallery_condition(self) -> GalleryCondition:
        """Return whether the gallery can be changed, and why not."""
        path = self._other_model.path if self._other_model else self.recognizer.gallery.path
        condition = self.recognizer.gallery.state
        if condition != "damaged" and path is not None and not _writable(path):
            return "read-only"
        return condition

    def strangers(self) -> list[Stranger]:
        return [Stranger(s.id, s.seen, s.first_s, s.last_s) for s in self.inbox.strangers()]

    def classes(self) -> list[Class]:
        taught = self.recognizer.gallery.classes
        return [
            Class(
                label=c.label,
                shots=c.n_shots,
                views=c.n_views,
                bursts=c.n_bursts,
                reliable=c.reliable,
                advice=c.advice,
                similar=[other.label for other in c.similar],
                crops=[int(id_) for id_ in taught[c.label].ids[:-7:-1]] if c.label in taught else [],
            )
            for c in self.recognizer.classes()
        ]

    def changed(self) -> None:
        """Publish the state soon, and let the visits follow the gallery now."""
        if self._other_model is None:
            self.visits.follow(self.recognizer.gallery)
        self._dirty.set()

    def set_region(self, id_: str, region: FrameRegion | None) -> Camera:
        """Look at a part of a camera's frame, also after a restart; None for the whole frame."""
        worker = self.worker(id_)
        self._regions.set(worker.session.name, region)
        return worker.set_region(region)

    def set_named_regions(self, id_: str, regions: list[NamedRegion]) -> Camera:
        """Answer these regions of a camera besides its frame, also after a restart. Raises OptionError."""
        if len({named.name for named in regions}) < len(regions):
            raise OptionError("Each region must have a name of its own, but two have the same. Give another name.")
        worker = self.worker(id_)
        self._regions.set_named(worker.session.name, regions)
        return worker.set_named(regions)

    def start_teaching(self, id_: str, label: str | None) -> Camera:
        """Begin to teach what a camera shows. Raises InvalidLabel, GalleryMismatch."""
        return self.worker(id_).start_teaching(Coach(self.editable, label))

    def cut_teaching(self, id_: str, region: FrameRegion) -> Camera:
        """Look at a region, also after a restart, and cut what is being taught, see `CameraSession.cut_teaching`."""
        worker = self.worker(id_)
        camera = worker.cut_teaching(region)
        self._regions.set(worker.session.name, region)
        return camera

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
        other = self._other_model
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
        self._other_model = None

    def _maintain(self) -> None:
        """Publish the state when it changed, and look every second for changes of the gallery file and the inbox."""
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
        seen = [(stranger.id, stranger.seen) for stranger in self.inbox.strangers()]
        if self.recognizer.gallery.refresh() or seen != self._strangers:
            self._strangers = seen
            self.changed()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Log an error and go on: the disk may be full, or the gallery file replaced by another."""
        try:
            work()
        except Exception:
            log.exception("The state could not be published; trying again.")

    def _gallery(self) -> GalleryState:
        other = self._other_model
        path = other.path if other else self.recognizer.gallery.path
        condition = self.gallery_condition()
        return GalleryState(
            path=None if path is None else str(path),
            writable=condition not in ("read-only", "damaged"),
            classes=len(self.recognizer.gallery.classes),
            mismatch=other.mismatch if other else None,
            state=condition,
            undo_minutes=None if other else self.recognizer.gallery.undo_minutes,
        )


def _writable(path: Path) -> bool:
    """Return whether SQLite could write the file and, for its write-ahead log, the folder."""
    return os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


def _observation(answer: RecentAnswer) -> Observation:
    """Return what was seen of the frame of an answer; its quality was not measured."""
    return Observation(answer.recognition.embedding, answer.crop, FrameQuality(0, 255, 1.0))


def _operation(operations: Sequence[GalleryOperation]) -> Operation | None:
    """Return the first of some operations as a message."""
    return Operation(operations[0].id, operations[0].time_s, operations[0].what) if operations else None


def _bundle_info(recognizer: Recognizer) -> BundleInfo:
    bundle = recognizer.bundle
    return BundleInfo(
        name=bundle.name,
        fingerprint=bundle.fingerprint,
        engine=recognizer.engine.info.name,
        metric=bundle.metric,
        input=[int(n) for n in bundle.preprocess.shape],
    )
