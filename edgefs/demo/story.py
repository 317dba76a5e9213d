"""The main job on a video: teach from its taught spans, then recognise every other frame, one at a time as in live use.

The video is read twice, so that every answer is given with everything taught, wherever in the video that was. No frame
is kept: what the page shows is put aside as small JPEGs.
"""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgefs.demo.progress import Progress
from edgefs.demo.spans import Span, span_at, words
from edgefs.demo.stream import Recording
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
    """One frame for the page.  subject: what was in view, None when nobody knows.  reason: why it was not enrolled."""

    jpeg: bytes
    time_s: float
    subject: str | None
    answer: Recognition | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Lesson:
    """One enrolment: its span, how many frames came, what became of them, and pictures of the accepted and refused."""

    span: Span
    n_frames: int
    enrollment: Enrollment
    shots: list[Picture]
    refused: list[Picture]


@dataclass(frozen=True)
class Answer:
    """One recognised frame.

    verdict: "right", "wrong" (another name), "unknown" (it has a name), or "" where nobody knows.
    """

    time_s: float
    subject: str | None
    label: str | None
    verdict: str


class Sample:
    """Keep k of however many come, each with the same chance (reservoir sampling, Vitter 1985).

    Only what is kept is made.
    """

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
class Story:
    """What happened.

    samples: by subject, or by answer where there is no truth.  latencies_ms: per stage, one number a frame.
    """

    recording: Recording
    lessons: list[Lesson] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    samples: dict[str, Sample] = field(default_factory=lambda: defaultdict(lambda: Sample(MAX_SAMPLES)))
    mistakes: Sample = field(default_factory=lambda: Sample(MAX_MISTAKES))
    latencies_ms: dict[str, list[float]] = field(default_factory=lambda: {stage: [] for stage in STAGES})
    fps: float | None = None


def play(recognizer: Recognizer, recording: Recording, *, region: Region | None = None, progress: Progress) -> Story:
    """Teach, then recognise.

    Raises CameraMissing, VideoTruncated or FrameError (a region outside the frame, a span outside the video).
    """
    story = Story(recording)
    with open_camera(recording.path, region=region) as camera:
        story.lessons = list(progress(_teach(recognizer, camera, recording), "teaching", len(recording.taught)))
    with open_camera(recording.path, region=region) as camera:
        story.fps = camera.fps
        for _ in progress(_recognise(recognizer, camera, story), "recognising", _n_frames(recording, camera.fps)):
            pass
    return story


def _n_frames(recording: Recording, fps: float | None) -> int | None:
    return round((recording.truth[-1].end_s - recording.truth[0].start_s) * fps) if recording.truth and fps else None


def _teach(recognizer: Recognizer, camera: FrameSource, recording: Recording) -> Iterator[Lesson]:
    waiting = list(recording.taught)
    for span, frames in itertools.groupby(camera, key=lambda frame: span_at(recording.taught, frame.time_s)):
        if span is not None:
            yield _lesson(recognizer, span, frames, recording.path.name)
            waiting.remove(span)
        if not waiting:
            return
    span = waiting[0]
    raise FrameError(
        f"{words(span)} must lie inside {recording.path}, but no frame of it does; give seconds that the video has"
    )


def _lesson(recognizer: Recognizer, span: Span, frames: Iterable[Frame], source: str) -> Lesson:
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
    return Lesson(span, len(pictures), enrollment, shots, refused)


def _recognise(recognizer: Recognizer, camera: FrameSource, story: Story) -> Iterator[Answer]:
    recording = story.recording
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
            story.latencies_ms[stage].append(timings[stage])
        span = span_at(recording.truth or (), frame.time_s)
        label = recognition.label
        answer = Answer(frame.time_s, span.subject if span else None, label, _verdict(span, label))
        story.answers.append(answer)
        _put_aside(story, frame, answer, recognition)
        yield answer


def _put_aside(story: Story, frame: Frame, answer: Answer, recognition: Recognition) -> None:
    def picture() -> Picture:
        return Picture(thumbnail(frame.image), frame.time_s, answer.subject, recognition)

    if answer.verdict in ("", "right"):
        story.samples[answer.subject or answer.label or UNKNOWN].offer(picture)
    else:
        story.mistakes.offer(picture)


def _verdict(span: Span | None, label: str | None) -> str:
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
