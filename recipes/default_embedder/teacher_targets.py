"""The teacher's answers for crops of the training photographs, computed once and stored.

Crop number `c` of picture `p` is always the same box, drawn from a generator seeded with both, so only the answers are
stored: `targets.npy`, float16 [crops, pictures, GRID, GRID, DIM], and in `targets.json` how many rows are done. All
pictures get crop 0 first, then all get crop 1, in a shuffled order, so training can start while this is still running.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from photos import Photo, crop_box
from teacher import CHUNK, DIM, GRID, LARGE, JointTeacher, Projection
from torch import Tensor
from tqdm import tqdm

FITTED_ON = 4096  # pictures the projection and the whitening are found from
WHITENING = 0.25  # 0: directions keep their variance; 1: all have the same. Chosen on held-out sources and clips.


def box_of(photo_shape: tuple[int, ...], crop: int, picture: int, seed: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of one crop of one picture, the same whenever it is asked for."""
    return crop_box(*photo_shape[:2], crop, np.random.default_rng([seed, picture, crop]))


def order_of(pictures: int, seed: int) -> np.ndarray:
    """The order in which pictures are answered: int [pictures]."""
    return np.random.default_rng(seed).permutation(pictures)


def teacher_view(photo: Photo, crop: int, picture: int, seed: int) -> np.ndarray:
    """One crop as the teacher gets it: uint8 [LARGE, LARGE, 3] RGB."""
    pixels = photo.decode()
    top, left, height, width = box_of(pixels.shape, crop, picture, seed)
    square = np.ascontiguousarray(pixels[top : top + height, left : left + width])
    return cv2.resize(square, (LARGE, LARGE), interpolation=cv2.INTER_LINEAR)


def write_targets(photos: list[Photo], shared: Path, out: Path, crops: int, seed: int) -> None:
    """Compute and store the answers for `crops` crops of each photo. Continues after an interruption."""
    state, shape = out / "targets.json", (crops, len(photos), GRID, GRID, DIM)
    done = json.loads(state.read_text())["done"] if state.exists() else 0
    if done >= crops * len(photos):
        return
    teacher, order = JointTeacher(shared), order_of(len(photos), seed)
    projection = fit_projection(teacher, photos, order, out, seed)
    file = out / "targets.npy"
    targets = np.lib.format.open_memmap(file, "r+" if file.exists() else "w+", np.float16, shape)
    rows = np.stack([np.repeat(np.arange(crops), len(photos)), np.tile(order, crops)], 1)
    bar = tqdm(total=len(rows), initial=done, desc="teacher targets", unit="crop", mininterval=10)
    for at in range(done, len(rows), CHUNK):
        some = rows[at : at + CHUNK]
        views = [teacher_view(photos[picture], crop, picture, seed) for crop, picture in some]
        views += views[-1:] * (CHUNK - len(views))  # the compiled teachers take full chunks only
        targets[some[:, 0], some[:, 1]] = projection(teacher(np.stack(views)))[: len(some)]
        bar.update(len(some))
        if at // CHUNK % 64 == 63 or at + CHUNK >= len(rows):
            targets.flush()
            state.write_text(
                json.dumps({"done": at + len(some), "crops": crops, "pictures": len(photos), "seed": seed})
            )


def fit_projection(teacher: JointTeacher, photos: list[Photo], order: np.ndarray, out: Path, seed: int) -> Projection:
    """The projection of this run, fitted to crop 0 of the first pictures unless it is stored already."""
    file = out / "projection.npz"
    if not file.exists():
        features: list[tuple[np.ndarray, ...]] = []
        for at in tqdm(range(0, min(FITTED_ON, len(order)) // CHUNK * CHUNK, CHUNK), desc="projection", mininterval=10):
            views = np.stack([teacher_view(photos[i], 0, i, seed) for i in order[at : at + CHUNK]])
            features.append(tuple(places.mean((1, 2)) for places in teacher(views)))
        Projection.fitted([np.concatenate(own) for own in zip(*features, strict=True)]).save(file)
    return Projection.load(file)


class Targets:
    """The answers stored so far, partly whitened: more may still be written."""

    def __init__(self, out: Path) -> None:
        self.state = out / "targets.json"
        facts = json.loads(self.state.read_text())
        self.seed, self.pictures = facts["seed"], facts["pictures"]
        self.values = np.load(out / "targets.npy", mmap_mode="r")
        self.order = order_of(self.pictures, self.seed)
        some = self.values[0, self.order[: min(FITTED_ON, len(self))]].astype(np.float32).mean((1, 2))
        scale = some.var(0) ** (-WHITENING / 2)
        self.scale = scale / np.sqrt(np.square(some * scale).sum(1).mean())  # an embedding has length 1 on average

    def __len__(self) -> int:
        return json.loads(self.state.read_text())["done"]

    def choose(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Crop and picture numbers, int [n] each, of different answered crops."""
        crop, place = np.divmod(rng.choice(len(self), n, replace=False), self.pictures)
        return crop, self.order[place]

    def whole(self, pictures: np.ndarray) -> Tensor:
        """Unit embeddings float32 [n, DIM] of crop 0 of some pictures."""
        return F.normalize(torch.from_numpy(self.values[0, pictures].astype(np.float32).mean((1, 2)) * self.scale))

    def places(self, crop: int, picture: int) -> np.ndarray:
        """The answer for every place of one crop: float32 [GRID, GRID, DIM]."""
        return self.values[crop, picture] * self.scale
