"""The virtual camera of the demo as a live source: one photograph after the other, a few seconds each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from edgefs.demo.stream import photos
from edgefs.demo.virtual_camera import FPS, film
from runtime.camera import Frame, FrameSource, LiveSource, realtime
from runtime.camera.base import State

SCENE_S = 6.0
SCENES = 4096  # then the source ends and must be opened again


class VirtualCamera(FrameSource):
    """Films the photographs of scikit-image in turn. Raises CameraMissing if scikit-image is not installed."""

    name = "virtual camera"
    live = False
    dropped = 0
    fps: float | None = FPS

    def __init__(self, seed: int = 0) -> None:
        self._frames: Iterator[Frame] | None = self._film(seed)

    @property
    def state(self) -> State:
        return "ended" if self._frames is None else "live"

    def read(self, timeout_s: float | None = None) -> Frame | None:  # noqa: ARG002 - a frame is always ready
        frames = self._frames
        return None if frames is None else next(frames, None)

    def close(self) -> None:
        self._frames = None

    def _film(self, seed: int) -> Iterator[Frame]:
        pictures = photos()
        rng = np.random.default_rng(seed)
        index = itertools.count()
        for photo in itertools.islice(itertools.cycle(pictures.values()), SCENES):
            for image in film(photo, round(SCENE_S * FPS), rng):
                i = next(index)
                yield Frame(image, i, i / FPS)


def virtual_camera() -> LiveSource:
    """The virtual camera in real time."""
    photos()  # raises an error now if scikit-image is missing
    return realtime(VirtualCamera())
