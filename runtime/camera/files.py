"""Sources with an end: a video file, a folder of pictures, one picture. They return every frame without waiting."""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING, Any

from runtime.camera.base import Frame, FrameSource, Region, State, check_region, crop, plausible_fps
from runtime.camera.container import is_cut, missing_bytes
from runtime.errors import CameraMissing, VideoTruncated
from runtime.formats import PICTURES, VIDEOS, format_of_file, kind_of
from runtime.opencv import load_cv2, read_image
from runtime.picture_header import is_motion_jpeg
from runtime.pictures import SUFFIXES, pictures_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

JPEG_BYTES = 1 << 24  # more than one picture of a video in motion JPEG takes


class VideoFile(FrameSource):
    """Every frame of a video file. OpenCV applies the rotation that the container states.

    Raises:
        CameraMissing: The file is no video.
        VideoTruncated: The file is cut. It is raised at once if nothing can be read, else by `read` at the end.
    """

    live = False
    dropped = 0

    def __init__(self, path: Path, region: Region | None = None) -> None:
        self.name = str(path)
        self._path = path
        self._region = check_region(region)
        self._lock = threading.Lock()  # releasing a capture while another thread decodes crashes
        self._capture: Any = _open_video(path)
        cv2 = load_cv2()
        self.fps = plausible_fps(self._capture.get(cv2.CAP_PROP_FPS))
        self._announced = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self._position = cv2.CAP_PROP_POS_MSEC
        self._read = 0
        self._time_s = 0.0

    @property
    def state(self) -> State:
        return "ended" if self._capture is None else "live"

    def read(self, timeout_s: float | None = None) -> Frame | None:  # noqa: ARG002 - reading a file never waits
        with self._lock:
            if self._capture is None:
                return None
            found, image = self._capture.read()
            if not found:
                self._end()
                return None
            self._time_s = self._next_s(self._capture.get(self._position) / 1000)
            frame = Frame(crop(image, self._region), self._read, self._time_s)
            self._read += 1
            return frame

    def close(self) -> None:
        with self._lock:
            if self._capture is not None:
                self._capture.release()
                self._capture = None

    def _next_s(self, stated_s: float) -> float:
        """Return the time of a frame: as stated, or after the one before, because raw streams state none, or 0."""
        if stated_s > (self._time_s if self._read else -1e-9):
            return stated_s
        if self.fps is None:
            raise CameraMissing(
                f"{self.name} must state the times of its frames or its rate, but states neither. "
                "Do: put it into a container: ffmpeg -r RATE -i IN -c copy OUT.mp4"
            )
        return self._time_s + 1 / self.fps if self._read else 0.0

    def _end(self) -> None:
        """Release the capture. Raises VideoTruncated if the file announced more frames."""
        self._capture.release()
        self._capture = None
        if is_cut(self._path, self._read, self._announced, self._time_s, self.fps):
            raise VideoTruncated(
                f"{self.name} must hold the video it announces, but it ends after {self._read} frames "
                f"({self._time_s:.1f} s) of about {self._announced:.0f}. "
                "Do: copy or download it again; all of its frames but the last are usable"
            )


class Pictures(FrameSource):
    """Picture files in the given order. `time_s` is the time at `fps` frames per second, or 1 if `fps` is None."""

    live = False
    dropped = 0

    def __init__(
        self, paths: Sequence[Path], name: str, fps: float | None = None, region: Region | None = None
    ) -> None:
        self.name = name
        self.fps = fps
        self._paths = paths
        self._region = check_region(region)
        self._lock = threading.Lock()
        self._read = 0

    @property
    def state(self) -> State:
        return "live" if self._read < len(self._paths) else "ended"

    def read(self, timeout_s: float | None = None) -> Frame | None:  # noqa: ARG002
        with self._lock:
            index = self._read
            if index >= len(self._paths):
                return None
            self._read += 1  # counted first, so that a caller that catches FrameError continues with the next picture
        path = self._paths[index]
        return Frame(crop(read_image(path), self._region), index, index / (self.fps or 1.0), name=path.name)

    def close(self) -> None:
        with self._lock:
            self._read = len(self._paths)


def open_folder(folder: Path, fps: float | None = None, region: Region | None = None) -> Pictures:
    """Open the pictures of a folder without its subfolders, in natural order (2.png, 10.png). Raises CameraMissing."""
    found = pictures_in(folder)
    if not found.pictures:
        raise CameraMissing(
            f"{folder} must hold pictures ({', '.join(PICTURES)}), but none of its {len(found.skipped)} files is one. "
            f"Do: name the folder that holds the pictures themselves, or a video file\n{found.named()}".rstrip()
        )
    return Pictures(sorted(found.tell().pictures, key=natural), str(folder), fps, region)


def open_file(path: Path, fps: float | None = None, region: Region | None = None) -> FrameSource:
    """Open a picture or a video, distinguished first by content and then by name: a damaged `.jpg` is a picture.

    Raises:
        CameraMissing: It is neither, or cannot be read.
        VideoTruncated: It is cut and nothing can be read.
    """
    try:
        format_, video, size = format_of_file(path), is_video(path), path.stat().st_size
    except OSError as error:
        raise CameraMissing(f"{path} must be a readable file, but: {error.strerror or error}") from error
    if not video and (format_ in PICTURES or path.suffix.lower() in SUFFIXES):
        return Pictures([path], str(path), fps, region)
    if format_ == "JPEG" and path.suffix.lower() in SUFFIXES:  # FFmpeg would read the first one only
        raise CameraMissing(
            f"{path} must be one picture, or be named as a video, but holds several JPEGs one after another (MJPEG). "
            f"Do: rename it to {path.stem}.mjpeg"
        )
    if video or not size:
        return VideoFile(path, region)
    raise CameraMissing(
        f"{path} must be a picture ({', '.join(PICTURES)}) or a video ({', '.join(VIDEOS)}), but its "
        f"{size:,} bytes are neither ({kind_of(format_)}). Do: save a picture as PNG or JPEG; convert a "
        "video: ffmpeg -i IN -c:v libx264 OUT.mp4"
    )


def is_video(path: Path) -> bool:
    """Return whether a file is a video by its content. Raises OSError."""
    format_ = format_of_file(path)
    if format_ != "JPEG":
        return format_ in VIDEOS
    with path.open("rb") as file:
        return is_motion_jpeg(file.read(JPEG_BYTES))


def natural(path: Path) -> list[tuple[int, str]]:
    """Return the sort key that orders numbers within names by value."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name.lower()) if part
    ]


def _open_video(path: Path) -> Any:
    """Return an open `cv2.VideoCapture`. Raises CameraMissing or VideoTruncated."""
    try:
        size, missing = path.stat().st_size, missing_bytes(path)
    except OSError as error:
        raise CameraMissing(f"{path} must be a readable video, but: {error.strerror or error}") from error
    cv2 = load_cv2()
    os.environ.setdefault(
        "OPENCV_FFMPEG_LOGLEVEL", "-8"
    )  # set before the first capture, because a cut file prints 4,000 lines
    for backend in (cv2.CAP_FFMPEG, cv2.CAP_ANY):
        # resolved, because FFmpeg takes the "a" of "a:b.mp4" for a protocol
        capture = cv2.VideoCapture(str(path.resolve()), backend) if size else None
        if capture is not None and capture.isOpened():
            return capture
    if missing or not size:
        raise VideoTruncated(
            f"{path} must hold the whole video, but it is cut off after {size:,} bytes and has no index, without which "
            "it cannot be played. Do: copy or download it again"
        )
    raise CameraMissing(
        f"{path} must be a picture or a video that OpenCV can decode, but its {size:,} bytes are neither. "
        "Do: check that it plays elsewhere, then convert it: ffmpeg -i IN -c:v libx264 OUT.mp4"
    )
