"""What a person says about visits, and how the gallery learns from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.app.core.session import InvalidState
from runtime.app.visits.log import VisitLog
from runtime.app.visits.store import StoredVisit
from runtime.recognizer import Recognizer
from runtime.teaching.enrolling import Observation
from runtime.teaching.quality import FrameQuality


@dataclass(frozen=True)
class Reviewed:
    """How many visits were reviewed, and the changes of the gallery that followed, oldest first."""

    visits: int
    operations: tuple[int, ...]


def review(recognizer: Recognizer, log: VisitLog, ids: Sequence[int], say: str, label: str | None) -> Reviewed:
    """Apply what a person says about visits.

    Args:
        recognizer: Its gallery learns.
        log: The visits.
        ids: Which visits.
        say: "yes" (it is the class named or suggested), "is" (it is `label`), "not" (it is not the class named or
            suggested), or "stranger" (it shows nothing taught).
        label: The class, for "is".

    Raises:
        InvalidState: A visit does not fit what is said.
        GalleryError: The gallery refused; visits of earlier classes may be reviewed already.
    """
    visits = log.store.some(ids)
    operations: list[int] = []
    for name, group in _by_class(visits, say, label).items():
        seen = [observation for visit in group for observation in _observations(log, visit, recognizer)]
        operation = _learn(recognizer, say, name, seen)
        log.store.review([visit.id for visit in group], say, name, operation)
        operations += [] if operation is None else [operation]
    return Reviewed(len(visits), tuple(operations))


def not_shown(recognizer: Recognizer, log: VisitLog, visit: StoredVisit) -> tuple[NDArray[np.float32], str]:
    """Return the embedding and the class that the review "not" of a visit is about. Raises InvalidState."""
    if visit.label is None:
        raise InvalidState(f"Visit {visit.id} must name or suggest a class, but it was unknown. Say what it is.")
    return _observations(log, visit, recognizer)[0].embedding, visit.label


def _by_class(visits: Iterable[StoredVisit], say: str, label: str | None) -> dict[str | None, list[StoredVisit]]:
    if say == "is" and label is None:
        raise InvalidState("A label must say what it is, but there is none.")
    groups: dict[str | None, list[StoredVisit]] = {}
    for visit in visits:
        name = label if say == "is" else visit.label
        if name is None and say in ("yes", "not"):
            raise InvalidState(f"Visit {visit.id} must name or suggest a class, but it was unknown. Say what it is.")
        groups.setdefault(name, []).append(visit)
    return groups


def _learn(recognizer: Recognizer, say: str, name: str | None, seen: list[Observation]) -> int | None:
    """Change the gallery, and return the id of the newest change; None if there is none to undo."""
    if say in ("yes", "is"):
        assert name is not None
        accepted = recognizer.enroll_observed(name, seen, source="review").accepted
        return recognizer.gallery.last_operation if accepted else None
    if say == "stranger":
        recognizer.gallery.add_unknown_frames(np.stack([one.embedding for one in seen]))
    if name is None:
        return None
    recognizer.reject_observed(seen[0], name)
    return recognizer.gallery.last_operation


def _observations(log: VisitLog, visit: StoredVisit, recognizer: Recognizer) -> list[Observation]:
    """The views of a visit, embedded by the bundle of now."""
    seen = [Observation(v.embedding, v.crop, FrameQuality(0, 255, 1.0), visit.model) for v in log.store.views(visit.id)]
    if visit.model != recognizer.bundle.fingerprint:
        from runtime.opencv import decode_image

        crops = [one.crop for one in seen if one.crop is not None]
        fresh = recognizer.embed(decode_image(crop, "the picture of a visit") for crop in crops)
        seen = [Observation(e, crop, FrameQuality(0, 255, 1.0)) for e, crop in zip(fresh, crops, strict=True)]
    if not seen:
        raise InvalidState(f"Visit {visit.id} must have a picture to be embedded again, but it has none.")
    return seen
