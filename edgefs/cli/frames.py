"""The frames a command works on: one source, a span of it, every N-th."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from runtime.camera import Frame, open_camera


def frames_of(source: str, args: argparse.Namespace) -> Iterator[Frame]:
    """Yield the frames of a source that --region, --start, --seconds and --every ask for. Raises CameraError."""
    with open_camera(source, region=args.region) as camera:
        begin = None
        for count, frame in enumerate(camera):
            begin = frame.time_s if begin is None and camera.live else begin or 0.0
            at = frame.time_s - begin
            if args.seconds is not None and at >= args.start + args.seconds:
                return
            if at >= args.start and count % args.every == 0:
                yield frame
