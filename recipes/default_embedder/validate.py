"""How well embeddings serve on held-out things: other sources, other classes, another source of the same class, clips.

Training and its choices are steered by these figures only. None of the pictures is in the training set.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from photos import IMAGENET, SIZE, Photo, device_view, limited, read_amazon

from edgefs.evaluation.metrics import few_shot_accuracy

PER_CLASS = 40
CLIP_FRAMES = 30  # of each clip
HOLD_S = 3.0  # a clip teaches its first three seconds
STRANGER_RATE = 0.05


class Validation:
    """Device views of the held-out photographs and clips: uint8 [N, size, size, 3] RGB each."""

    def __init__(self, shared: Path, held_out: list[Photo], size: int = SIZE) -> None:
        groups: dict[str, list[Photo]] = defaultdict(list)
        for photo in (*held_out, *read_amazon(shared)):
            groups[photo.source].append(photo)
        self.sources = {}
        for source in sorted(groups):
            chosen = limited(groups[source], PER_CLASS)
            views = np.stack([device_view(photo.decode(), size) for photo in chosen])
            self.sources[source] = views, np.array([photo.label for photo in chosen])
        self.clips = read_clips(shared / "data/clips", size)

    def scores(self, embed) -> dict[str, float]:
        """The figures, in percent, of `embed`: uint8 [N, size, size, 3] RGB -> unit float32 [N, D]."""
        found, embedded = {}, {name: (embed(views), labels) for name, (views, labels) in self.sources.items()}
        for name, (z, labels) in embedded.items():
            if name not in IMAGENET:
                ids = np.unique(labels, return_inverse=True)[1]
                ways = min(5, ids.max() + 1)
                for shots in (1, 5):
                    accuracy = few_shot_accuracy(z, ids, n_way=ways, n_shot=shots, n_query=5, n_episodes=400)
                    found[f"{name} {ways}-way {shots}-shot"] = accuracy.mean
        found["across ImageNet sources, all classes, 1 photo"] = across(*(embedded[name] for name in IMAGENET))
        embeddings = [embed(clip["views"]) for clip in self.clips]
        for k in (3, 5, 10):
            found[f"clips, {k} things, named"] = clips_named(self.clips, embeddings, k)
        return {"mean": float(np.mean(list(found.values()))), **found}


def across(support: tuple[np.ndarray, np.ndarray], query: tuple[np.ndarray, np.ndarray]) -> float:
    """Accuracy, in percent, of photographs of one source against one photograph of each class of another source."""
    (known, names), (z, labels) = support, query
    return float(100 * (names[(z @ known.T).argmax(1)] == labels).mean())


def read_clips(folder: Path, size: int) -> list[dict]:
    """Views of evenly spaced frames of every clip, cropped to the thing with a margin of a tenth, and their times."""
    clips = []
    for entry in json.loads((folder / "index.json").read_text()):
        boxes = np.loadtxt(folder / entry["boxes_file"], delimiter=",", ndmin=2) if entry.get("boxes_file") else None
        frames, times = read_frames(folder, entry, boxes)
        if len(frames) >= 10:
            views = np.stack([device_view(frame, size) for frame in frames])
            clips.append({"group": entry["group"], "views": views, "times": times})
    return clips


def read_frames(folder: Path, entry: dict, boxes: np.ndarray | None) -> tuple[list[np.ndarray], np.ndarray]:
    video = cv2.VideoCapture(str(folder / entry["file"]))
    fps, frames, times, number = entry["fps"], [], [], -1
    step = max(1, round((entry["end_s"] - entry["start_s"]) * fps / CLIP_FRAMES))
    while True:
        read, frame = video.read()
        number += 1
        if not read:
            break
        time = number / fps
        if not entry["start_s"] <= time <= entry["end_s"] or number % step:
            continue
        box = boxes[min(number, len(boxes) - 1)][-4:] if boxes is not None else entry.get("box")
        if box is not None and np.isfinite(box).all():
            frame = cropped(frame, box)
        frames.append(frame[:, :, ::-1])
        times.append(time - entry["start_s"])
    return frames, np.array(times)


def cropped(frame: np.ndarray, box) -> np.ndarray:
    x, y, width, height = (float(value) for value in box)
    half, middle_x, middle_y = 0.55 * max(width, height), x + width / 2, y + height / 2
    top, left = max(0, int(middle_y - half)), max(0, int(middle_x - half))
    return frame[top : max(top + 8, int(middle_y + half)), left : max(left + 8, int(middle_x + half))]


def clips_named(clips: list[dict], embeddings: list[np.ndarray], k: int, galleries: int = 200) -> float:
    """The share of known frames, in percent, that get their name when 5 % of strangers' frames get one.

    Each gallery teaches `k` things from the first seconds of their clips. Known frames are those from one second after
    the enrolment on; strangers are all other things. The threshold is the best constant for all galleries together.
    """
    rng = np.random.default_rng(7)
    long = [i for i, clip in enumerate(clips) if clip["times"][-1] >= HOLD_S + 1.5]
    groups = sorted({clips[i]["group"] for i in long})
    known, strange = [], []
    for _ in range(galleries):
        names = rng.choice(groups, k, replace=False)
        taught = [rng.choice([i for i in long if clips[i]["group"] == name]) for name in names]
        means = np.stack([embeddings[i][clips[i]["times"] <= HOLD_S].mean(0) for i in taught])
        prototypes = (means / np.linalg.norm(means, axis=1, keepdims=True)).T
        for column, i in enumerate(taught):
            scores = embeddings[i][clips[i]["times"] > HOLD_S + 1] @ prototypes
            known.append(np.where(scores.argmax(1) == column, scores.max(1), -1))
        others = [z for clip, z in zip(clips, embeddings, strict=True) if clip["group"] not in names]
        strange.append((np.concatenate(others) @ prototypes).max(1))
    threshold = np.quantile(np.concatenate(strange), 1 - STRANGER_RATE)
    return float(100 * (np.concatenate(known) >= threshold).mean())
