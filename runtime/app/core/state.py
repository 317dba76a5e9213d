"""The state as a message: what the device reports besides its answers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.app.core.messages import (
    BundleInfo,
    Class,
    GalleryCondition,
    GalleryState,
    Operation,
    Site,
    State,
    Stranger,
)
from runtime.app.core.other_model import OtherModel
from runtime.gallery.base import Gallery
from runtime.gallery.base import Operation as GalleryOperation
from runtime.recognizer import Recognizer
from runtime.stream.strangers import Inbox

if TYPE_CHECKING:
    from runtime.app.core.service import Service


def state_of(service: Service) -> State:
    """Return everything except the answers, as it is now."""
    recognizer = service.recognizer
    return State(
        device=service.device,
        bundle=_bundle_info(recognizer),
        gallery=_gallery(recognizer, service.other_model),
        cameras=[worker.camera() for worker in service.workers.values()],
        classes=classes(recognizer),
        inbox=strangers(service.inbox),
        undo=_operation(recognizer.gallery.history()),
        redo=_operation(recognizer.gallery.undone()),
        stranger_rate=recognizer.stranger_rate,
        viewers=service.hub.subscribers,
    )


def gallery_condition(recognizer: Recognizer, other: OtherModel | None) -> GalleryCondition:
    """Return whether the gallery can be changed, and why not; `other` if another model filled it."""
    path = other.path if other else recognizer.gallery.path
    condition = recognizer.gallery.state
    if condition != "damaged" and path is not None and not _writable(path):
        return "read-only"
    return condition


def site_of(gallery: Gallery) -> Site | None:
    """Return how the device stands with the site that shares its gallery; None if no other device does."""
    if gallery.shared is None:
        return None
    status = gallery.shared.status()
    return Site(
        address=status.site,
        connected=status.connected,
        problem=status.problem,
        unsent=status.unsent,
        crops_to_come=status.crops_to_come,
        conflicts=status.conflicts,
        role=status.role,
    )


def classes(recognizer: Recognizer) -> list[Class]:
    taught = recognizer.gallery.classes
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
        for c in recognizer.classes()
    ]


def strangers(inbox: Inbox) -> list[Stranger]:
    return [Stranger(s.id, s.seen, s.first_s, s.last_s) for s in inbox.strangers()]


def _gallery(recognizer: Recognizer, other: OtherModel | None) -> GalleryState:
    path = other.path if other else recognizer.gallery.path
    condition = gallery_condition(recognizer, other)
    return GalleryState(
        path=None if path is None else str(path),
        writable=condition not in ("read-only", "damaged"),
        classes=len(recognizer.gallery.classes),
        mismatch=other.mismatch if other else None,
        state=condition,
        undo_minutes=None if other else recognizer.gallery.undo_minutes,
        site=site_of(recognizer.gallery),
    )


def _writable(path: Path) -> bool:
    """Return whether SQLite could write the file and, for its write-ahead log, the folder."""
    return os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


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
