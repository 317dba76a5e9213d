"""Short videos of things, each showing one thing: what the acceptance table is made from and what it is measured on.

A folder of clips holds one video file for each clip. An `index.json` beside them may say more: a list of objects with
`file`, `name`, `group` (clips of the same thing share a group), `start_s`, `end_s`, `fps`, and where the thing is, as
`box` (x, y, width, height) or `boxes_file` (one box a line for each frame). Without it every file is a thing of its own
and the whole frame is used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.errors import PicturesError
from runtime.camera import open_camera
from runtime.camera.files import is_video
from runtime.pictures import is_system

MARGIN = 1.1  # the square that is cut out, relative to the longer side of the box
MIN_SIDE = 8  # pixels, the smallest side of a cut-out
MIN_FRAMES = 10  # a shorter clip has no frames left after the enrolment


@dataclass(frozen=True, eq=False)
class Clip:
    """One clip.

    Attributes:
        name: The name of the clip, unique in its folder.
        group: The name of the thing; clips of one group show the same thing on different occasions.
        frames: BGR frames, `uint8 [H, W, 3]` each, cut to the thing.
        times_s: Seconds from the start of the clip, `float64 [len(frames)]`.
    """

    name: str
    group: str
    frames: list[NDArray[np.uint8]]
    times_s: NDArray[np.float64]


def read_clips(folder: str | Path, *, max_frames: int = 120) -> Iterator[Clip]:
    """Read the clips of a folder one after the other.

    Args:
        folder: The folder; see the module docstring.
        max_frames: About how many frames of each clip are read, evenly spread.

    Raises:
        PicturesError: The folder or its index cannot be read, or it has no clip of at least 10 frames.
        CameraError: A video cannot be read.
    """
    folder = Path(folder)
    found = False
    for entry in _entries(folder):
        clip = _read(folder, entry, max_frames)
        if len(clip.frames) >= MIN_FRAMES:
            found = True
            yield clip
    if not found:
        raise PicturesError(f"{folder} must hold videos of at least {MIN_FRAMES} frames, but holds none; add some")


def _entries(folder: Path) -> list[dict[str, Any]]:
    index = folder / "index.json"
    try:
        if index.exists():
            entries: list[dict[str, Any]] = json.loads(index.read_text(encoding="utf-8"))
            return [{"name": entry["file"], "group": entry["file"], **entry} for entry in entries]
        return [
            {"file": p.name, "name": p.stem, "group": p.stem}
            for p in sorted(folder.iterdir())
            if p.is_file() and not is_system(p.name) and is_video(p)
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PicturesError(
            f"{folder} must be a folder of videos, with or without an index.json, but: {error}"
        ) from error


def _read(folder: Path, entry: dict[str, Any], max_frames: int) -> Clip:
    start_s, end_s = entry.get("start_s", 0.0), entry.get("end_s", np.inf)
    boxes = None
    if entry.get("boxes_file"):
        text = (folder / entry["boxes_file"]).read_text().replace(",", " ")
        boxes = np.loadtxt(text.splitlines(), ndmin=2)[:, -4:]
    kept: list[tuple[int, NDArray[np.uint8]]] = []  # with the index of the frame
    with open_camera(folder / entry["file"]) as source:
        fps = entry.get("fps") or source.fps or 30.0
        step = max(1, round((end_s - start_s) * fps / max_frames)) if np.isfinite(end_s) else 1
        for frame in source:
            time_s = frame.index / fps
            if start_s <= time_s <= end_s and frame.index % step == 0:
                box = entry.get("box") if boxes is None else boxes[min(frame.index, len(boxes) - 1)]
                kept.append((frame.index, np.ascontiguousarray(_cut(frame.image, box))))
            if len(kept) >= 2 * max_frames:  # the length of the span was not known
                step *= 2
                kept = [(index, image) for index, image in kept if index % step == 0]
    times = np.array([index / fps - start_s for index, _ in kept])
    return Clip(entry["name"], entry["group"], [image for _, image in kept], times)


def _cut(image: NDArray[np.uint8], box: Any) -> NDArray[np.uint8]:
    """Cut out the square around a box; the whole frame where there is none."""
    if box is None or not np.isfinite(box).all():
        return image
    x, y, width, height = (float(v) for v in box)
    half = MARGIN * max(width, height) / 2
    left, top = max(0, int(x + width / 2 - half)), max(0, int(y + height / 2 - half))
    right, bottom = int(x + width / 2 + half), int(y + height / 2 + half)
    return image[top : max(top + MIN_SIDE, bottom), left : max(left + MIN_SIDE, right)]
