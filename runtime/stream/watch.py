"""Several cameras, one recogniser: every camera has a thread of its own that takes its newest frame all the way.

    for seen in edgefs.watch(recognizer, {"door": open_camera(0), "shelf": open_camera("rtsp://…")}):
        print(seen.camera, seen.recognition.label if isinstance(seen, Seen) else seen.error)

A frame is resized, embedded and matched in one thread: it stays in that core's caches and is never handed over. What
overlaps is the work of different frames, on as many CPUs as there are, and capture, which live sources do in threads of
their own. cv2 and the engines release Python's lock. A camera that is faster than the machine loses frames at its own
source, where they are counted, and never delays another.
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
    """One answer.  camera: its name.  done_s: `time.monotonic()` when it was there; live frames carry their capture."""

    camera: str
    frame: Frame
    recognition: Recognition
    done_s: float


@dataclass(frozen=True)
class Lost:
    """A camera that will deliver no more, and why."""

    camera: str
    error: EdgefsError


Answers = queue.Queue["Seen | Lost | Exception | None"]  # None: a camera's thread is done


def watch(recognizer: Recognizer, cameras: Mapping[str, FrameSource]) -> Iterator[Seen | Lost]:
    """Recognise what every camera shows until all have ended; stop early by closing the iterator, or the cameras.

    A camera that fails is reported as Lost, once, and the others go on; what the recogniser raises is raised here.
    Closes the cameras at the end.
    """
    answers: Answers = queue.Queue(maxsize=2 * len(cameras))  # a slow reader slows the threads
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
    except Exception as error:  # an engine that fails, or a bug: not the camera's fault, so it concerns them all
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
    """Take what nobody will read, so that no thread waits for room for ever."""
    while any(thread.is_alive() for thread in threads):
        try:
            answers.get(timeout=0.05)
        except queue.Empty:
            continue
