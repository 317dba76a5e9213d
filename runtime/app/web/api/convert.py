"""Results of the recognizer as messages of the API."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime import recognition as results
from runtime.app.core.messages import (
    Accepted,
    ChangedAnswer,
    ChangePreview,
    Done,
    Enrolled,
    Recognized,
    Rejected,
    SimilarClass,
)
from runtime.app.core.session import finite
from runtime.app.web.routes import Call
from runtime.recognition import Enrollment, Recognition
from runtime.recognizer import Recognizer
from runtime.stream.recent_answers import RecentAnswer


def changed(call: Call, what: str) -> Done:
    """Publish the new state and return what was done, with the id of the change that this thread has just made."""
    call.service.changed()
    return Done(what, call.service.recognizer.gallery.last_operation)


def deleted(recognizer: Recognizer) -> str:
    """Delete for good what was forgotten. Backups that cannot be reached still hold it, so they are named."""
    purged = recognizer.gallery.purge(now=True)
    kept = f"; these backups could not be opened: {', '.join(purged.unreached)}" if purged.unreached else ""
    later = "" if purged.wiped else "; another program still reads it, and its bytes are overwritten after that"
    return f"deleted {purged.classes} classes and {purged.shots} shots for good{kept}{later}"


def enrolled(call: Call, enrollment: Enrollment) -> Enrolled:
    """Return an enrolment that this thread has just made."""
    return Enrolled(
        label=enrollment.label,
        accepted=[Accepted(frame.index, frame.shot_id) for frame in enrollment.accepted],
        rejected=[Rejected(frame.index, frame.reason) for frame in enrollment.rejected],
        advice=list(enrollment.advice),
        operation=call.service.recognizer.gallery.last_operation if enrollment.accepted else None,
        similar=[SimilarClass(other.label, float(other.score)) for other in enrollment.similar],
    )


def changes(remembered: list[RecentAnswer], preview: results.ChangePreview) -> ChangePreview:
    """Return what a change would alter among remembered answers."""
    changed_ones = [ChangedAnswer(remembered[c.index].id, c.before, c.after) for c in preview.changes]
    return ChangePreview(preview.of, changed_ones)


def rejection(call: Call, embedding: NDArray[np.float32], label: str) -> ChangePreview:
    """Return what "not this" about an embedding would change among the recent answers."""
    ring = call.service.ring
    remembered = ring.answers()
    return changes(remembered, call.service.recognizer.preview_reject(embedding, label, ring))


def recognized(recognition: Recognition) -> Recognized:
    return Recognized(
        label=recognition.label,
        certainty=recognition.certainty,
        candidate=recognition.candidate,
        score=finite(recognition.score),
        threshold=finite(recognition.threshold),
        runner_up=recognition.runner_up,
        margin=finite(recognition.margin),
        check=recognition.check,
        timings_ms={stage: round(ms, 2) for stage, ms in recognition.timings_ms.items()},
    )
