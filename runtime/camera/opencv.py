"""Cameras that OpenCV reads in this process: USB and other V4L2 devices, and GStreamer pipelines (CSI on a Jetson)."""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.camera.base import plausible_fps, redact
from runtime.camera.newest import Grabbed
from runtime.errors import CameraError, CameraMissing
from runtime.opencv import load_cv2

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ATTEMPTS = 5  # a USB camera sometimes sends half a JPEG; five failures in a row mean that it is lost
CSI = (
    "nvarguscamerasrc ! video/x-raw(memory:NVMM),width=1280,height=720 ! nvvidconv ! video/x-raw,format=BGRx ! "
    "videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1"
)

log = logging.getLogger(__name__)


class Capture:
    """The Grabber around an open `cv2.VideoCapture`."""

    connected = True

    def __init__(self, capture: Any, name: str) -> None:
        self.name = name
        self.fps = plausible_fps(capture.get(load_cv2().CAP_PROP_FPS))
        self._capture = capture
        self._stop = False

    def grab(self) -> Grabbed | None:
        for _ in range(ATTEMPTS):
            if self._stop:
                return None
            if not self._capture.grab():
                continue
            time_s = time.monotonic()
            found, image = self._capture.retrieve()
            if found:
                return Grabbed(_bgr(image, self.name), time_s, decode_ms=(time.monotonic() - time_s) * 1e3)
        raise CameraError(
            f"{self.name} must go on delivering frames, but {ATTEMPTS} reads in a row failed. "
            "Do: check its cable and power (`dmesg | tail`), then open it again"
        )

    def interrupt(self) -> None:
        self._stop = True  # takes effect after the read in progress, which ends within the select timeout below

    def close(self) -> None:
        self._capture.release()


def open_device(index: int, width: int | None = None, height: int | None = None, fps: float | None = None) -> Capture:
    """Open /dev/video<index>, in Motion JPEG if possible, because raw 720p has only 10 frames per second over USB 2.

    The driver uses the nearest width, height and fps that it has; a difference is logged. Raises CameraMissing.
    """
    name = f"/dev/video{index}" if sys.platform == "linux" else f"camera {index}"
    _check_device(Path(name))
    cv2 = load_cv2()
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")  # instead of 10 s, which close() would have to wait
    capture = cv2.VideoCapture(index, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)
    if not capture.isOpened():
        capture.release()
        raise CameraMissing(
            f"{name} must be a camera that is free, but OpenCV cannot open it: it is in use, or is no capture device "
            f"(present: {_present()}). Do: close the program that uses it (`fuser {name}`), or try another number"
        )
    capture.set(
        cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")
    )  # set before the size, because it decides which sizes there are
    wishes = {cv2.CAP_PROP_FRAME_WIDTH: width, cv2.CAP_PROP_FRAME_HEIGHT: height, cv2.CAP_PROP_FPS: fps}
    for wish, value in wishes.items():
        if value is not None:
            capture.set(wish, value)
    given = [capture.get(wish) for wish in wishes]
    if any(value not in (None, got) for value, got in zip(wishes.values(), given, strict=True)):
        log.warning("%s was asked for %s x %s at %s fps and gives %g x %g at %g", name, width, height, fps, *given)
    return Capture(capture, name)


def open_pipeline(pipeline: str) -> Capture:
    """Open a GStreamer pipeline that ends in `appsink`. Raises CameraMissing, also if this OpenCV has no GStreamer."""
    name = redact(pipeline)
    if not has_gstreamer():
        raise CameraMissing(
            f"{name!r} needs an OpenCV with GStreamer, but this one has none (PyPI's has none, JetPack's has it). "
            "Do: on a Jetson use JetPack's cv2 (a virtual environment with --system-site-packages and no opencv-python "
            "in it); elsewhere name a device (0, /dev/video0) or a URL (rtsp://…), which need no GStreamer"
        )
    if "appsink" not in pipeline:
        raise CameraMissing(f"the pipeline must end in an appsink, but it is {name!r}. Do: write it like {CSI!r}")
    cv2 = load_cv2()
    capture = cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER)
    if not capture.isOpened():
        capture.release()
        raise CameraMissing(
            f"the pipeline {name!r} must start, but GStreamer refused it. "
            "Do: try it with `gst-launch-1.0` and fakesink instead of appsink, which prints a better message"
        )
    return Capture(capture, name)


def camera_devices() -> list[str]:
    """Return the V4L2 devices of this machine, such as ["/dev/video0"], in order of their number."""
    found = (re.fullmatch(r"video(\d+)", path.name) for path in Path("/dev").glob("video*"))
    return [f"/dev/video{number}" for number in sorted(int(match[1]) for match in found if match)]


def has_gstreamer() -> bool:
    """Return whether this machine's cv2 was built with GStreamer."""
    return re.search(r"GStreamer:\s+YES", load_cv2().getBuildInformation()) is not None


def _present() -> str:
    return ", ".join(camera_devices()) or "none"


def _check_device(path: Path) -> None:
    """Raise CameraMissing if the device file is absent or not accessible, because OpenCV does not say so."""
    if sys.platform != "linux":
        return
    if not path.exists():
        raise CameraMissing(
            f"{path} must be a camera, but there is no such device (present: {_present()}). "
            "Do: plug it in, pass the device into the container if this is one, and see `edgefs doctor`"
        )
    if not os.access(path, os.R_OK | os.W_OK):
        raise CameraMissing(
            f"{path} must be accessible to this user, but is not. "
            "Do: sudo usermod -aG video $USER, log in again, and see `edgefs doctor`"
        )


def _bgr(image: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """Return `[H, W, 3]` BGR from BGR or grey `[H, W]`. Raises CameraError for raw formats such as NV12 and BGRx."""
    if image.ndim == 3 and image.shape[2] == 3:
        return image
    if image.ndim == 2:
        cv2 = load_cv2()
        grey: NDArray[np.uint8] = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        return grey
    raise CameraError(
        f"{name} must give BGR or grey frames, but gives shape {image.shape}. "
        "Do: add video/x-raw,format=BGR before its appsink"
    )
