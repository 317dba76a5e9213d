"""Several cameras with one recognizer. Each camera has a thread that recognizes its newest frame.

    for seen in edgefs.watch(recognizer, {"door": open_camera(0), "shelf": open_camera("rtsp://…")}):
        print(seen.camera, seen.recognition.label if isinstance(seen, Seen) else seen.error)

A frame is resized, embedded and matched in one thread, so it stays in the caches of that core. Different frames are
processed in parallel on all CPUs, because cv2 and the engines release Python's global lock. Live sources capture in
further threads. If a camera is faster than the machine, its source drops frames and counts them; other cameras are not
delayed.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.errors import EdgefsError

if TYPE_CHECKING:
    from runtime.camera.base import Frame, FrameSource
    from runtime.recognition import Recognition
    from runtime.recognizer import Recognizer


@dataclass(frozen=True, eq=False)
class Seen:
    """The answer for one frame.

    Attributes:
        camera: Name of the camera.
        frame: The frame.
        recognition: The answer.
        done_s: `time.monotonic()` when the answer was ready; `frame.time_s` of a live frame is the time of capture.
    """

    camera: str
    frame: Frame
    recognition: Recognition
    done_s: float


@dataclass(frozen=True)
class Lost:
    """A camera that failed and will deliver no more frames."""

    camera: str
    error: EdgefsError


Answers = queue.Queue["Seen | Lost | Exception | None"]  # None means that the thread of a camera has ended


def watch(recognizer: Recognizer, cameras: Mapping[str, FrameSource]) -> Iterator[Seen | Lost]:
    """Recognize what every camera shows until all have ended, or until the iterator or the cameras are closed.

    At the end the cameras are closed.

    Args:
        recognizer: The recognizer.
        cameras: Name -> source.

    Yields:
        Seen for each frame, and Lost once for each camera that fails, while the others continue.

    Raises:
        EdgefsError: The recognizer raised it.
    """
    answers: Answers = queue.Queue(maxsize=2 * len(cameras))  # if the reader is slow, the threads wait
    stop = threading.Event()
    threads = [
        threading.Thread(
            target=_follow, args=(recognizer, name, camera, answers, stop), name=f"watch {name}", daemon=True
        )
        for name, camera in cameras.items()
    ]
    for thread in threads:
        thread.start()
    try:
        running = len(threads)
        while running:
            answer = answers.get()
            if answer is None:
                running -= 1
            elif isinstance(answer, Exception):
                raise answer
            else:
                yield answer
    finally:
        stop.set()
        for camera in cameras.values():
            camera.close()
        _drain(answers, threads)


def _follow(
    recognizer: Recognizer,
    name: str,
    camera: FrameSource,
    answers: Answers,
    stop: threading.Event,
) -> None:
    try:
        while not stop.is_set() and (frame := _read(camera, name, answers)) is not None:
            recognition = recognizer.recognize(frame.image)
            answers.put(Seen(name, frame, recognition, time.monotonic()))
    except Exception as error:  # the recognizer failed, which concerns all cameras
        answers.put(error)
    finally:
        answers.put(None)


def _read(camera: FrameSource, name: str, answers: Answers) -> Frame | None:
    try:
        return camera.read()
    except EdgefsError as error:
        answers.put(Lost(name, error))
        return None


def _drain(answers: Answers, threads: list[threading.Thread]) -> None:
    """Empty the queue, so that no thread waits forever to put an answer into it."""
    while any(thread.is_alive() for thread in threads):
        try:
            answers.get(timeout=0.05)
        except queue.Empty:
            continue
