"""An Enrollment as it goes over the wire."""

from __future__ import annotations

from runtime.app.core.messages import Accepted, Enrolled, Rejected
from runtime.recognition import Enrollment


def enrolled(enrollment: Enrollment) -> Enrolled:
    return Enrolled(
        label=enrollment.label,
        accepted=[Accepted(frame.index, frame.shot_id) for frame in enrollment.accepted],
        rejected=[Rejected(frame.index, frame.reason) for frame in enrollment.rejected],
        advice=list(enrollment.advice),
    )
