"""Opens the source that a person names, such as the argument of `--source`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.camera.base import check_region, redact
from runtime.camera.files import open_file, open_folder
from runtime.camera.network import NetworkCamera
from runtime.camera.newest import STALL_S, LiveSource
from runtime.camera.opencv import open_device, open_pipeline
from runtime.camera.realtime import realtime as play
from runtime.errors import CameraMissing

if TYPE_CHECKING:
    from runtime.camera.base import FrameSource, Region

FORMS = (
    "a camera number (0) or /dev/video0; a video, picture or folder of pictures that exists; "
    "a URL (rtsp://user:password@host/path, http://host/video.mjpg); "
    "or a GStreamer pipeline (… ! appsink)"
)
OPEN_TIMEOUT_S = 10.0


def open_camera(
    source: str | int | Path,
    *,
    region: Region | None = None,
    realtime: bool = False,
    width: int | None = None,
    height: int | None = None,
    fps: float | None = None,
    stall_s: float = STALL_S,
    open_timeout_s: float = OPEN_TIMEOUT_S,
) -> FrameSource:
    """Open a source. A live source is returned when its first frame has come.

    Args:
        source: One of FORMS.
        region: (x, y, width, height) in pixels, to use only a part of every frame.
        realtime: Whether to play a file at its own speed, dropping frames like a camera.
        width: Frame width to request from a USB camera, in pixels.
        height: Frame height to request from a USB camera, in pixels.
        fps: Frame rate to request from a USB camera; also the speed of a folder.
        stall_s: How many seconds without a frame count as a stall.
        open_timeout_s: How long the first frame of a live source may take, in seconds.

    Raises:
        CameraMissing: The source is absent, refused, or not a video.
        CameraError: No frame came in time.
        VideoTruncated: The file is cut and nothing can be read.
        FrameError: The region is malformed.
        OpenCVMissing: OpenCV is not installed.
    """
    check_region(region)
    text = str(source)
    path = Path(text)
    device = re.fullmatch(r"(?:/dev/video)?(\d+)", text)
    if device:
        live = LiveSource(open_device(int(device[1]), width, height, fps), region, stall_s)
    elif re.match(r"(?!file:)\w[\w+.-]*://", text):  # checked before "!", which a password may contain
        live = LiveSource(NetworkCamera(text, stall_s, open_timeout_s), region, stall_s)
    elif os.path.exists(text):  # noqa: PTH110 - Path.exists raises for a pipeline longer than 255 characters
        file = open_folder(path, fps, region) if path.is_dir() else open_file(path, fps, region)
        return play(file) if realtime else file
    elif "!" in text:
        live = LiveSource(open_pipeline(text), region, stall_s)
    else:
        raise CameraMissing(f"source must be {FORMS}; but {redact(text)!r} is none of these, and no such file exists")
    try:
        live.wait_ready(open_timeout_s)
    except BaseException:
        live.close()
        raise
    return live
