"""An answer of the recogniser as a message."""

from __future__ import annotations

from runtime.app.core.messages import Recognized
from runtime.app.core.session import finite
from runtime.recognition import Recognition


def recognized(r: Recognition) -> Recognized:
    return Recognized(
        label=r.label,
        candidate=r.candidate,
        score=finite(r.score),
        threshold=finite(r.threshold),
        runner_up=r.runner_up,
        margin=finite(r.margin),
        check=r.check,
        timings_ms={stage: round(ms, 2) for stage, ms in r.timings_ms.items()},
    )
