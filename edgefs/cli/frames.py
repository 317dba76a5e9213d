"""The frames a command works on: one source, a span of it, every N-th."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from runtime.camera import Frame, open_camera


def frames_of(source: str, args: argparse.Namespace) -> Iterator[Frame]:
    """Yield the frames of a source that --region, --start, --seconds and --every ask for. Raises CameraError."""
    with open_camera(source, region=args.region) as camera, _ends_at_ctrl_c(camera.live) as stop:
        begin = None
        for count, frame in enumerate(camera):
            begin = frame.time_s if begin is None and camera.live else begin or 0.0
            at = frame.time_s - begin
            if stop.is_set() or (args.seconds is not None and at >= args.start + args.seconds):
                return
            if at >= args.start and count % args.every == 0:
                yield frame


@contextmanager
def _ends_at_ctrl_c(live: bool) -> Iterator[threading.Event]:
    """The first Ctrl-C ends a live stream and keeps what it gave; the second interrupts as usual."""
    stop = threading.Event()
    usual = signal.getsignal(signal.SIGINT)
    if not live or usual is None or threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def end(*_: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, end)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, usual)
