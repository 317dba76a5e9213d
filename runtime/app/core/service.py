"""The live service: cameras, one recognizer, and everyone who watches, joined. Every face talks to this."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.app.core.camera_worker import Eye, Source
from runtime.app.core.hub import Hub
from runtime.app.core.messages import Answer, BundleInfo, Camera, Class, GalleryState, Region, State, Stranger
from runtime.app.core.other_model import OtherModel
from runtime.app.core.regions import Regions
from runtime.app.core.session import NotNow
from runtime.errors import OptionError
from runtime.recognition import Enrollment
from runtime.recognizer import Recognizer
from runtime.stream.recent_answers import RecentAnswer, Ring
from runtime.stream.strangers import Inbox
from runtime.teaching.coach import Coach
from runtime.teaching.enrolling import Observation
from runtime.teaching.quality import FrameQuality

REMEMBERED = 480  # answers that can still be asked about: two minutes of a camera, about 20 MB of pictures
REFRESH_S = 1.0  # how often the gallery file is looked at for what other processes changed
COALESCE_S = 0.1  # between two messages of the whole state

log = logging.getLogger(__name__)


class UnknownCamera(OptionError, LookupError):
    """No camera has this id."""


class Forgotten(OptionError, LookupError):
    """An answer that is not remembered, or no longer."""


class Service:
    """Watches cameras on one recognizer. The recognizer stays open: who opened it closes it.

    other_model: where the gallery asked for is, when another model filled it and the recognizer does without.
    on_answer: called for every answer in the camera's thread, for metrics.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        sources: Sequence[Source],
        *,
        device: str,
        stranger_rate: float | None = 0.05,
        other_model: OtherModel | None = None,
        on_answer: Callable[[Answer], None] = lambda _: None,
    ) -> None:
        self.recognizer, self.device, self.stranger_rate = recognizer, device, stranger_rate
        self.hub, self.ring, self.inbox = Hub(), Ring(REMEMBERED), Inbox(recognizer.bundle)
        self._other_model = other_model
        self._own_recognizer: Recognizer | None = None
        self._regions = Regions(other_model.path if other_model else recognizer.gallery.path)
        self._strangers: list[tuple[int, int]] = []
        self._stop, self._dirty = threading.Event(), threading.Event()
        self.eyes = {
            str(i): Eye(str(i), source, self._regions.of(source.name), self, on_answer)
            for i, source in enumerate(sources)
        }
        self._keeper = threading.Thread(target=self._keep_house, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Open every camera; returns at once."""
        self._keeper.start()
        for eye in self.eyes.values():
            eye.thread.start()

    def close(self) -> None:
        """Stop every camera, thread and watcher."""
        self._stop.set()
        self._dirty.set()
        for eye in self.eyes.values():
            eye.thread.stop()
        self.hub.close()
        for eye in self.eyes.values():
            eye.thread.join()
            eye.preview.close()
        if self._keeper.ident is not None:  # it was started
            self._keeper.join()
        if self._other_model is not None:
            self._other_model.join()
        if self._own_recognizer is not None:
            self._own_recognizer.close()

    @property
    def editable(self) -> Recognizer:
        """The recognizer, to change its gallery. Raises GalleryMismatch while that is another model's."""
        if self._other_model is not None:
            raise self._other_model.refuse()
        return self.recognizer

    @property
    def ended(self) -> bool:
        """Whether every source came to its end."""
        return all(eye.thread.ended for eye in self.eyes.values())

    @property
    def alive_s(self) -> float:
        """The last moment (monotonic) at which every thread was seen to be at work."""
        return min((eye.thread.alive_s for eye in self.eyes.values() if not eye.thread.ended), default=time.monotonic())

    def eye(self, id_: str) -> Eye:
        """The camera of this id. Raises UnknownCamera."""
        if id_ not in self.eyes:
            raise UnknownCamera(f"camera must be one of {', '.join(self.eyes) or 'none'}, but got {id_!r}")
        return self.eyes[id_]

    # what the faces show

    def camera(self, id_: str) -> Camera:
        return self.eye(id_).camera()

    def state(self) -> State:
        """Everything but the answers, as it is now."""
        recognizer = self.recognizer
        return State(
            device=self.device,
            bundle=_bundle_info(recognizer),
            gallery=self._gallery(),
            cameras=[self.camera(id_) for id_ in self.eyes],
            classes=self.classes(),
            inbox=[Stranger(s.id, s.seen, s.first_s, s.last_s) for s in self.inbox.strangers()],
            undo=recognizer.undo_preview(),
            stranger_rate=self.stranger_rate,
            viewers=self.hub.watchers,
        )

    def classes(self) -> list[Class]:
        taught = self.recognizer.gallery.classes
        return [
            Class(
                label=c.label,
                shots=c.n_shots,
                views=round(c.n_views, 1),
                bursts=c.n_bursts,
                views_needed=c.views_needed,
                promise=c.promise,
                crops=[int(id_) for id_ in taught[c.label].ids[:-7:-1]] if c.label in taught else [],
                set_aside=len(c.set_aside),
            )
            for c in self.recognizer.classes()
        ]

    def changed(self) -> None:
        """Let everyone know, soon, that the state is another."""
        self._dirty.set()

    # what the faces do

    def set_region(self, id_: str, region: Region | None) -> Camera:
        """Look at a part of a camera's picture, also after a restart."""
        eye = self.eye(id_)
        self._regions.put(eye.stream.name, region)
        return eye.look_at(region)

    def start_lesson(self, id_: str, label: str | None) -> Camera:
        """Begin to teach what a camera shows. Raises InvalidLabel, GalleryMismatch."""
        return self.eye(id_).start_lesson(Coach(self.editable, label))

    def end_lesson(self, id_: str, label: str) -> Enrollment:
        """Store what a lesson kept. If that fails the lesson is still there, paused. Raises NotNow, GalleryError."""
        enrollment = self.eye(id_).end_lesson(label)
        self.inbox.let_go_known(self.recognizer.match_many)
        self.changed()
        return enrollment

    def recent(self, answer: int) -> RecentAnswer:
        """A remembered answer. Raises Forgotten."""
        found = self.ring.get(answer)
        if found is None:
            raise Forgotten(f"answer {answer} must be one of the last {self.ring.capacity}, but is not, or no longer")
        return found

    def accused(self, answer: int) -> tuple[RecentAnswer, str]:
        """An answer that can be rejected, and the class it named. Raises Forgotten, NotNow."""
        found = self.recent(answer)
        if found.recognition.label is None:
            raise NotNow(f"answer {answer} must name a class to be rejected, but was unknown")
        return found, found.recognition.label

    def reject(self, answer: int) -> str:
        """ "Not this": learn from a mistake; says what was done. Raises Forgotten, NotNow, GalleryError."""
        found, label = self.accused(answer)
        seen = Observation(found.recognition.embedding, found.crop, FrameQuality(0, 255, 1.0))
        self.editable.reject_observed(seen, label)
        self.changed()
        return f"this is not {label}"

    def reembed(self) -> str:
        """Embed the gallery of another model again, in the background; says what goes on. Raises NotNow."""
        other = self._other_model
        if other is None:
            raise NotNow("the gallery must be of another model to be embedded again, but fits this one already")
        other.start(self.changed, self._fits_now)
        return f"embedding {other.mismatch.shots} shots again"

    def _fits_now(self, recognizer: Recognizer) -> None:
        self.recognizer = self._own_recognizer = recognizer
        self._other_model = None

    # housekeeping

    def _keep_house(self) -> None:
        """Send the state when it changed; see what other processes did to the gallery, and who is new in the inbox."""
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
        if self.recognizer.refresh() or seen != self._strangers:
            self._strangers = seen
            self.changed()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Housekeeping must survive a disk that is full or a gallery that is replaced under it."""
        try:
            work()
        except Exception:
            log.exception("housekeeping failed; trying again")

    def _gallery(self) -> GalleryState:
        other = self._other_model
        path = other.path if other else self.recognizer.gallery.path
        return GalleryState(
            path=None if path is None else str(path),
            writable=path is None or _writable(path),
            classes=len(self.recognizer.gallery.classes),
            mismatch=other.mismatch if other else None,
        )


def _writable(path: Path) -> bool:
    """Whether SQLite could write: the file and, for its log, the folder."""
    return os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


def _bundle_info(recognizer: Recognizer) -> BundleInfo:
    bundle = recognizer.bundle
    size: NDArray[np.int64] = np.asarray(bundle.preprocess.shape)
    return BundleInfo(
        bundle.name, bundle.fingerprint, recognizer.engine.info.name, bundle.metric, [int(n) for n in size]
    )
