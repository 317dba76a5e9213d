"""The demo's video: real photographs, filmed by the virtual camera, encoded to a real file, with its ground truth.

The photographs are part of the scikit-image package, so nothing is downloaded. The taught things and the strangers were
chosen before any result was seen.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefs.demo.spans import Span
from edgefs.demo.virtual_camera import FPS, HEIGHT, WIDTH, film
from edgefs.reports.progress import Progress
from runtime.errors import CameraError, CameraMissing
from runtime.opencv import load_cv2, read_image

TAUGHT = {
    "astronaut": "astronaut.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "motorcycle": "motorcycle_left.png",
    "rocket": "rocket.jpg",
}
# One grey picture and one in the colours of the coffee's saucer, which are not the two easiest.
STRANGERS = {"coins": "coins.png", "retina": "retina.jpg"}

# MPEG-4 comes with the FFmpeg of PyPI's wheels; Motion JPEG, three times as large, is in OpenCV itself.
CODECS = (("mp4v", ".mp4"), ("MJPG", ".avi"))


@dataclass(frozen=True)
class Plan:
    """Durations of the demo.

    Attributes:
        teach_s: Seconds of video that teach each subject.
        test_s: Seconds of each later clip.
        tests: Number of later clips of each subject.
    """

    teach_s: float = 1.0
    test_s: float = 1.6
    tests: int = 3


@dataclass(frozen=True)
class Recording:
    """A video file with its spans to enrol, and its spans to recognise; None if it is not known what is in view."""

    path: Path
    taught: list[Span]
    truth: list[Span] | None


def record(folder: Path, *, seed: int = 0, plan: Plan | None = None, progress: Progress) -> Recording:
    """Film the demo into folder/stream.mp4 (.avi where OpenCV cannot write MPEG-4): all teaching first, then the tests.

    Raises:
        CameraMissing: scikit-image is not installed.
        CameraError: OpenCV can write no video here.
    """
    plan = plan or Plan()
    prints = photos()
    rng = np.random.default_rng(seed)
    rounds = [str(name) for _ in range(plan.tests) for name in rng.permutation([*TAUGHT, *STRANGERS])]
    n_teach, n_test = (max(1, round(seconds * FPS)) for seconds in (plan.teach_s, plan.test_s))
    clips = [*((name, n_teach) for name in TAUGHT), *((name, n_test) for name in rounds)]
    frames = (frame for name, n in clips for frame in film(prints[name], n, rng))
    path = _write(folder / "stream", progress(frames, "filming", sum(n for _, n in clips)))
    return Recording(path, _spans(0, list(TAUGHT), n_teach), _spans(n_teach * len(TAUGHT), rounds, n_test))


def _spans(first: int, subjects: list[str], n: int) -> list[Span]:
    """Spans of n frames each, from frame `first` on. Limits lie half a frame early, against rounding."""
    starts = [max(0.0, first + n * i - 0.5) / FPS for i in range(len(subjects) + 1)]
    return [
        Span(a, b, name, name if name in TAUGHT else None)
        for a, b, name in zip(starts, starts[1:], subjects, strict=False)
    ]


def photos() -> dict[str, NDArray[np.uint8]]:
    """The photographs, `uint8 [H, W, 3]` BGR. scikit-image is not imported: that takes longer than reading."""
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise CameraMissing(
            "the demo needs the photographs inside scikit-image, which is not installed. Do: pip install 'edgefs[demo]'"
        )
    data = Path(package.origin).parent / "data"
    return {name: read_image(data / file) for name, file in (TAUGHT | STRANGERS).items()}


def _write(stem: Path, frames: Iterable[NDArray[np.uint8]]) -> Path:
    cv2 = load_cv2()
    stem.parent.mkdir(parents=True, exist_ok=True)
    for codec, suffix in CODECS:
        path = stem.with_suffix(suffix)
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), FPS, (WIDTH, HEIGHT))
        if writer.isOpened():
            for frame in frames:
                writer.write(frame)
            writer.release()
            return path
    raise CameraError(
        f"{stem} must be written as {' or '.join(codec for codec, _ in CODECS)}, "
        f"but this OpenCV can do neither; see edgefs doctor"
    )
