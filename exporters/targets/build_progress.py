"""Progress of a TensorRT build, and Ctrl-C during it: the builder runs in native code that Python cannot interrupt."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

Progress = Callable[[str], object]


@contextlib.contextmanager
def interruptible(trt: Any, config: Any, progress: Progress) -> Iterator[None]:
    """Report the phases of a build, and let Ctrl-C end it; KeyboardInterrupt is raised when the builder has stopped.

    Args:
        trt: The module `tensorrt` or `tensorrt_rtx`. Versions without a progress monitor are left as they are.
        config: The builder's configuration, which is changed.
        progress: Called with the name of each outermost phase.
    """
    if not hasattr(trt, "IProgressMonitor"):
        yield
        return
    stopped = threading.Event()
    config.progress_monitor = _new_monitor(trt, progress, stopped)
    main = threading.current_thread() is threading.main_thread()
    previous = signal.signal(signal.SIGINT, lambda *_: stopped.set()) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, previous)
        if stopped.is_set():
            raise KeyboardInterrupt


def _new_monitor(trt: Any, progress: Progress, stopped: threading.Event) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if parent_phase is None:
                progress(f"{phase_name}, {num_steps} steps")

        def step_complete(self, phase_name: str, step: int) -> bool:  # noqa: ARG002 - the library's signature
            return not stopped.is_set()

        def phase_finish(self, phase_name: str) -> None: ...

    return Monitor()
