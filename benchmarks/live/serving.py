"""The app in this process, its viewers in another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from edgefs.bench.clock import Sample, figures
from runtime.app.core.camera_reader import CameraSource
from runtime.app.core.messages import Answer
from runtime.app.core.service import Service
from runtime.app.web.metrics import Metrics
from runtime.app.web.server import Server, build, listen, policy_for
from runtime.recognizer import Recognizer


@contextmanager
def serving(
    recognizer: Recognizer, source: CameraSource, on_answer: Callable[[Answer], None]
) -> Iterator[tuple[Service, str]]:
    metrics = Metrics()

    def answered(answer: Answer) -> None:
        metrics.count(answer)
        on_answer(answer)

    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    service = Service(recognizer, [source], device="bench", on_answer=answered)
    with Server(build(service, policy_for("127.0.0.1", port), metrics), listener):
        try:
            yield service, f"http://127.0.0.1:{port}"
        finally:
            service.close()


def watch(url: str, viewers: int) -> Callable[[], None]:
    """Start viewers in a process of their own; returns what waits for their end."""
    if not viewers:
        return lambda: None
    command = [sys.executable, "-m", "benchmarks.live.viewer", url, "--viewers", str(viewers)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()

    def end() -> None:
        process.terminate()
        process.wait()

    return end


def every(samples_ms: list[float]) -> dict[str, Any]:
    """Percentiles of all samples; none is left out because it waited for a CPU."""
    points = figures([Sample(ms) for ms in samples_ms])
    return {name: value for name, value in points.items() if "uncontended" not in name}
