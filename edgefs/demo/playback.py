"""The main job on a video: teach from its taught spans, then recognise every other frame, one at a time as in live use.

The video is read twice, so that everything is taught before the first answer. Frames are not kept in memory; what the
page shows is stored as small JPEGs.
"""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgefs.demo.spans import Span, as_text, span_at
from edgefs.demo.stream import Recording
from edgefs.reports.progress import Progress
from runtime.camera import Frame, FrameSource, Region, open_camera
from runtime.errors import FrameError
from runtime.opencv import encode_jpeg, load_cv2
from runtime.recognition import Enrollment, Recognition
from runtime.recognizer import Recognizer

STAGES = ("decode", "preprocess", "embed", "match", "total")
THUMBNAIL = 320  # pixels, the width of a picture on the page
MAX_SHOTS, MAX_REFUSED, MAX_SAMPLES, MAX_MISTAKES = 8, 6, 6, 24
UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class Picture:
    """One frame for the page, with what was in view (None if unknown), and why it was not enrolled."""

    jpeg: bytes
    time_s: float
    subject: str | None
    answer: Recognition | None = None
    reason: str | None = None


@dataclass(frozen=True)
class TaughtSpan:
    """The enrolment from one span, with pictures of some accepted and some refused frames."""

    span: Span
    n_frames: int
    enrollment: Enrollment
    shots: list[Picture]
    refused: list[Picture]


@dataclass(frozen=True)
class Answer:
    """One recognised frame.

    Attributes:
        result: "right", "wrong" (another name), "unknown" (although it has a name), or "" where the truth is not known.
    """

    time_s: float
    subject: str | None
    label: str | None
    result: str


class Sample:
    """A random sample of k pictures from a stream of any length (reservoir sampling, Vitter 1985)."""

    def __init__(self, k: int) -> None:
        self.k, self.seen = k, 0
        self.kept: list[Picture] = []
        self._rng = np.random.default_rng(0)

    def offer(self, make: Callable[[], Picture]) -> None:
        self.seen += 1
        if len(self.kept) < self.k:
            self.kept.append(make())
        elif (place := int(self._rng.integers(self.seen))) < self.k:
            self.kept[place] = make()

    def in_order(self) -> list[Picture]:
        return sorted(self.kept, key=lambda picture: picture.time_s)


@dataclass
class Playback:
    """What was taught and answered in one run.

    Attributes:
        samples: Pictures by subject, or by answer where the truth is not known.
        latencies_ms: For each stage one number per frame.
    """

    recording: Recording
    taught: list[TaughtSpan] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    samples: dict[str, Sample] = field(default_factory=lambda: defaultdict(lambda: Sample(MAX_SAMPLES)))
    mistakes: Sample = field(default_factory=lambda: Sample(MAX_MISTAKES))
    latencies_ms: dict[str, list[float]] = field(default_factory=lambda: {stage: [] for stage in STAGES})
    fps: float | None = None


def play(recognizer: Recognizer, recording: Recording, *, region: Region | None = None, progress: Progress) -> Playback:
    """Teach from the spans of a recording, then recognise its other frames.

    Raises:
        CameraMissing: The video cannot be opened.
        VideoTruncated: The video ends before its announced length.
        FrameError: The region lies outside the frame, or a span outside the video.
    """
    playback = Playback(recording)
    with open_camera(recording.path, region=region) as camera:
        playback.taught = list(progress(_teach(recognizer, camera, recording), "teaching", len(recording.taught)))
    with open_camera(recording.path, region=region) as camera:
        playback.fps = camera.fps
        for _ in progress(_recognise(recognizer, camera, playback), "recognising", _n_frames(recording, camera.fps)):
            pass
    return playback


def _n_frames(recording: Recording, fps: float | None) -> int | None:
    return round((recording.truth[-1].end_s - recording.truth[0].start_s) * fps) if recording.truth and fps else None


def _teach(recognizer: Recognizer, camera: FrameSource, recording: Recording) -> Iterator[TaughtSpan]:
    waiting = list(recording.taught)
    for span, frames in itertools.groupby(camera, key=lambda frame: span_at(recording.taught, frame.time_s)):
        if span is not None:
            yield _taught_span(recognizer, span, frames, recording.path.name)
            waiting.remove(span)
        if not waiting:
            return
    span = waiting[0]
    raise FrameError(
        f"{as_text(span)} must lie inside {recording.path}, but no frame of it does; give seconds that the video has"
    )


def _taught_span(recognizer: Recognizer, span: Span, frames: Iterable[Frame], source: str) -> TaughtSpan:
    pictures: list[Picture] = []

    def seen() -> Iterator[NDArray[np.uint8]]:
        for frame in frames:
            pictures.append(Picture(thumbnail(frame.image), frame.time_s, span.subject))
            yield frame.image

    enrollment = recognizer.enroll(span.subject, seen(), source=source)
    shots = [pictures[frame.index] for frame in _spread(enrollment.accepted, MAX_SHOTS)]
    refused = [
        Picture(pictures[frame.index].jpeg, pictures[frame.index].time_s, span.subject, reason=frame.reason)
        for frame in _spread(enrollment.rejected, MAX_REFUSED)
    ]
    return TaughtSpan(span, len(pictures), enrollment, shots, refused)


def _recognise(recognizer: Recognizer, camera: FrameSource, playback: Playback) -> Iterator[Answer]:
    recording = playback.recording
    while True:
        start = time.perf_counter()
        frame = camera.read()
        decode_ms = (time.perf_counter() - start) * 1e3
        if frame is None:
            return
        if span_at(recording.taught, frame.time_s):
            continue
        recognition = recognizer.recognize(frame.image)
        timings = {**recognition.timings_ms, "decode": decode_ms, "total": decode_ms + recognition.timings_ms["total"]}
        for stage in STAGES:
            playback.latencies_ms[stage].append(timings[stage])
        span = span_at(recording.truth or (), frame.time_s)
        label = recognition.label
        answer = Answer(frame.time_s, span.subject if span else None, label, _result(span, label))
        playback.answers.append(answer)
        _keep_picture(playback, frame, answer, recognition)
        yield answer


def _keep_picture(playback: Playback, frame: Frame, answer: Answer, recognition: Recognition) -> None:
    def picture() -> Picture:
        return Picture(thumbnail(frame.image), frame.time_s, answer.subject, recognition)

    if answer.result in ("", "right"):
        playback.samples[answer.subject or answer.label or UNKNOWN].offer(picture)
    else:
        playback.mistakes.offer(picture)


def _result(span: Span | None, label: str | None) -> str:
    if span is None:
        return ""
    if label == span.label:
        return "right"
    return "unknown" if label is None else "wrong"


def _spread(items: tuple, k: int) -> list:  # type: ignore[type-arg]
    """At most k of the items, evenly spread."""
    return [items[i] for i in sorted({round(i) for i in np.linspace(0, len(items) - 1, min(k, len(items)))})]


def thumbnail(image: NDArray[np.uint8]) -> bytes:
    """A frame, `uint8 [H, W, 3]` BGR, as a small JPEG."""
    cv2 = load_cv2()
    scale = THUMBNAIL / image.shape[1]
    size = (THUMBNAIL, max(1, round(image.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return encode_jpeg(cv2.resize(image, size, interpolation=how), quality=82)
