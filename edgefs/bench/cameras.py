"""The camera scenario: how many 720p cameras this machine follows without dropping a frame.

Each simulated camera delivers one JPEG a frame, as a USB camera does, and decodes it in its own capture thread at the
pace of its clock. Everything else is what an application uses: live sources that keep the newest frame and count
dropped ones, `edgefs.watch` and `recognize()`.
"""

from __future__ import annotations

import time
from typing import Any

from edgefs.bench.clock import Sample, figures
from edgefs.bench.subjects import Subject, make_picture
from runtime.camera.newest import Grabbed, LiveSource
from runtime.opencv import decode_image, encode_jpeg
from runtime.stream.watch import Lost, watch

WARM_UP_S = 0.5


class PacedCamera:
    """A grabber with a new frame every 1 / fps seconds. A frame that is not grabbed in time counts as lost."""

    connected = True
    fps: float | None

    def __init__(self, name: str, jpeg: bytes, fps: float, seconds: float, start_s: float) -> None:
        self.name, self.fps, self._fps = name, fps, fps
        self._jpeg, self._n = jpeg, round(seconds * fps)
        self._start_s = start_s
        self._next = 0
        self._stopped = False

    def grab(self) -> Grabbed | None:
        late = int((time.monotonic() - self._start_s) * self._fps) - self._next  # whole frames behind the clock
        lost = max(0, late)
        self._next += lost
        if self._stopped or self._next >= self._n:
            return None
        time.sleep(max(0.0, self._start_s + self._next / self._fps - time.monotonic()))
        captured_s = time.monotonic()
        self._next += 1
        return Grabbed(decode_image(self._jpeg, self.name), captured_s, lost)

    def interrupt(self) -> None:
        self._stopped = True

    def close(self) -> None:
        """There is nothing to free."""


def camera_scenario(subject: Subject, n_cameras: int, fps: float, seconds: float) -> dict[str, Any]:
    """Follow several cameras: frames recognised and dropped, and the time from capture to answer."""
    jpeg = encode_jpeg(make_picture(), quality=90)
    start_s, run_s = time.monotonic() + 0.2, WARM_UP_S + seconds
    cameras = {
        f"camera {i}": LiveSource(PacedCamera(f"camera {i}", jpeg, fps, run_s, start_s + i / fps / n_cameras))
        for i in range(n_cameras)
    }
    cpu_start = time.process_time()
    answers: list[Sample] = []
    recognised = 0
    for seen in watch(subject.recognizer, cameras):
        if isinstance(seen, Lost):
            raise seen.error
        recognised += 1
        if seen.frame.time_s > start_s + WARM_UP_S:
            answers.append(Sample((seen.done_s - seen.frame.time_s) * 1e3))
    cpu_s = time.process_time() - cpu_start
    return {
        "cameras": n_cameras,
        "fps": fps,
        "seconds": seconds,
        "recognised": recognised,
        "dropped": n_cameras * round(run_s * fps) - recognised,
        "frames_per_s": round(recognised / run_s, 2),
        "cpus_used": round(cpu_s / run_s, 3),
        "capture_to_answer": {k: v for k, v in figures(answers).items() if not k.startswith("uncontended")},
    }
