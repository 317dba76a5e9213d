"""Keeps the visits of a running app: camera threads report what they see, and one thread writes."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from runtime.app.clock import now_s
from runtime.app.visits.store import DAYS, VisitStore, VisitsUnusable
from runtime.app.visits.tracker import Sight, Tracker
from runtime.gallery import Gallery

WRITE_S = 1.0

log = logging.getLogger(__name__)


class VisitLog:
    """The visits of all cameras.

    Args:
        gallery: The gallery's file, beside which the visits are stored; None keeps them in memory.
        model: The fingerprint of the bundle.
        days: How long a visit is kept; 0 keeps none.
    """

    def __init__(self, gallery: Path | None, model: str, *, days: float = DAYS) -> None:
        self._model, self._keeps = model, days > 0
        self._tracker, self._lock = Tracker(), threading.Lock()
        self._writing = threading.Lock()  # a class must not be forgotten while one of its visits is written
        path = None if gallery is None or not self._keeps else gallery.with_name(f"{gallery.name}.visits.db")
        try:
            self.store = VisitStore(path, days=days)
        except VisitsUnusable as error:
            log.warning("%s Until then visits are kept in memory only.", error)
            self.store = VisitStore(None, days=days)
        self._classes: object = None
        self._failing = False  # a full disk is logged once, not every second
        self._stop = threading.Event()
        self._writer = threading.Thread(target=self._write, name="visits", daemon=True)

    def start(self) -> None:
        self._writer.start()

    def close(self) -> None:
        """Write the visits that go on, and end."""
        self._stop.set()
        if self._writer.ident is not None:
            self._writer.join()
            self._flush(last=True)
        self.store.close()

    def look(self, sight: Sight) -> None:
        """Add what a frame shows. An unknown frame without a stranger's id is left out."""
        if self._keeps and (sight.label is not None or sight.stranger is not None):
            with self._lock:
                self._tracker.update(sight, now_s())

    def follow(self, gallery: Gallery) -> None:
        """Follow the changes of the gallery at once: renamed, merged and forgotten classes, undo and redo."""
        classes = gallery.classes
        if classes is self._classes or gallery.damaged:  # a damaged class is not a forgotten one
            return
        shots = {label: shots.ids.tolist() for label, shots in classes.items()}
        try:
            with self._writing:
                gone = self.store.follow_classes(shots)
                with self._lock:
                    for label, to in gone.items():
                        self._tracker.relabel(label, to)
            self.store.follow_history([o.id for o in gallery.history()], [o.id for o in gallery.undone()])
            self._classes = classes
        except VisitsUnusable as error:
            log.error("%s The visits do not follow the gallery yet; trying again.", error)

    def follow_model(self, model: str) -> None:
        """End the visits that go on: what comes now is embedded by another model."""
        self._flush(last=True)
        self._model = model

    def _write(self) -> None:
        while not self._stop.wait(WRITE_S):
            self._flush()

    def _flush(self, *, last: bool = False) -> None:
        try:
            with self._writing:
                with self._lock:
                    due = self._tracker.due(now_s(), last=last)
                if due:
                    self.store.write(due, self._model)
                    self._failing = False
        except VisitsUnusable as error:
            if not self._failing:
                log.error("%s Until then visits are lost.", error)
            self._failing = True
