"""Results of the recognizer as messages of the API."""

from __future__ import annotations

from runtime.app.core.messages import Accepted, Done, Enrolled, Recognized, Rejected, SimilarClass
from runtime.app.core.session import finite
from runtime.app.web.routes import Call
from runtime.recognition import Enrollment, Recognition


def changed(call: Call, what: str) -> Done:
    """Publish the new state and return what was done, with the id of the change that this thread has just made."""
    call.service.changed()
    return Done(what, call.service.recognizer.gallery.last_operation)


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
