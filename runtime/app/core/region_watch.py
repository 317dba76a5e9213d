"""The named regions of a camera: each is matched, smoothed and answered on its own."""

from __future__ import annotations

from runtime.app.core.messages import Answer, NamedRegion, RegionAnswer
from runtime.app.core.session import CameraSession
from runtime.recognition import Recognition
from runtime.stream.joining import Joiner


class RegionWatch:
    """One named region of a camera.

    Args:
        camera: The id of the camera.
        named: The region.
        metric: The metric of the bundle.
    """

    def __init__(self, camera: str, named: NamedRegion, metric: str) -> None:
        self.named = named
        self.session = CameraSession(camera, named.name, named.region)
        self.joiner = Joiner(metric)

    def answer(self, recognition: Recognition, time_s: float, id_: int | None, age_ms: float) -> RegionAnswer:
        """Return the message for one answer, smoothed over the last frames; arguments as in `CameraSession.answer`."""
        return region_answer(self.named.name, self.session.answer(recognition, time_s, id_, {"total": age_ms}))


def region_answer(region: str, answer: Answer) -> RegionAnswer:
    """Return the answer of a camera as that of one of its regions."""
    return RegionAnswer(
        camera=answer.camera,
        region=region,
        id=answer.id,
        stable=answer.stable,
        suggestion=answer.suggestion,
        certainty=answer.certainty,
        candidate=answer.candidate,
        score=answer.score,
        threshold=answer.threshold,
        age_ms=answer.age_ms,
    )


def place(camera: str, region: str) -> str:
    """Return how a region is called in the list of visits and in the rules of actions: "door: shelf"."""
    return f"{camera}: {region}"
