"""From what a person writes after `--source` to a Source the service can open, and open again."""

from __future__ import annotations

import os

from runtime.app.core.camera_worker import Source
from runtime.camera import FrameSource, open_camera
from runtime.camera.base import redact


def camera_source(text: str, *, loop: bool) -> Source:
    """A Source for `open_camera`. Files are played at their own speed; loop: again and again."""

    def open_it() -> FrameSource:
        return open_camera(text, realtime=True)

    return Source(redact(text), open_it, again=loop and os.path.exists(text))  # noqa: PTH110 - see open_camera
