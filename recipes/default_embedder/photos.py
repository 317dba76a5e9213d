"""The photographs: which ones train the network, which ones are held out, and how a device views one.

Everything is read from the archives of `shared/data`, which stay as they are: the encoded files are kept in memory and
one is decoded when it is needed.
"""

from __future__ import annotations

import csv
import math
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

SIZE = 144  # pixels, the side of the student's input
HELD_OUT_SOURCES = ("trashnet", "foodish", "vgg_search")
IMAGENET = ("imagenet_samples", "nips2017")  # these two sources show the same kinds of things


@dataclass(frozen=True)
class Photo:
    """One encoded photograph. `label` is empty where the source names no class."""

    source: str
    label: str
    data: bytes

    def decode(self) -> np.ndarray:
        """The pixels: uint8 [H, W, 3] RGB."""
        return cv2.imdecode(np.frombuffer(self.data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1].copy()


def read_pool(shared: Path) -> list[Photo]:
    """Read every photograph of `photos_pool`, in the order of its index."""
    folder = shared / "data/photos_pool"
    with (folder / "index.csv").open(newline="") as index:
        rows = list(csv.DictReader(index))
    archives = {name: zipfile.ZipFile(folder / name) for name in {row["zip"] for row in rows}}
    return [Photo(row["zip"][:-4], row["class"], archives[row["zip"]].read(row["name"])) for row in rows]


def read_amazon(shared: Path) -> list[Photo]:
    """Read the product photographs of Office amazon; they are held out as one more source."""
    with zipfile.ZipFile(shared / "data/office_caltech10/amazon_webcam.zip") as archive:
        names = sorted(n for n in archive.namelist() if "amazon/" in n and n.lower().endswith((".jpg", ".png")))
        return [Photo("amazon", PurePosixPath(name).parent.name, archive.read(name)) for name in names]


def held_out_labels(pool: list[Photo]) -> dict[str, set[str]]:
    """Classes held out of sources that otherwise train: every tenth of Caltech-101, and a third of those that
    both ImageNet sources show and no other source does."""
    labels = defaultdict(set)
    for photo in pool:
        labels[photo.source].add(photo.label)
    elsewhere = set().union(*(own for source, own in labels.items() if source not in IMAGENET))
    shared = sorted((labels[IMAGENET[0]] & labels[IMAGENET[1]]) - elsewhere - {""})[::3]
    return {"caltech101": set(sorted(labels["caltech101"])[5::10]), **{source: set(shared) for source in IMAGENET}}


def split(pool: list[Photo]) -> tuple[list[Photo], list[Photo]]:
    """Divide the pool into photographs to train on and held-out ones."""
    labels = held_out_labels(pool)
    training, held_out = [], []
    for photo in pool:
        out = photo.source in HELD_OUT_SOURCES or photo.label in labels.get(photo.source, ())
        (held_out if out else training).append(photo)
    return training, held_out


def limited(photos: list[Photo], per_class: int) -> list[Photo]:
    """Keep at most the first `per_class` photographs of each class, and none without a class."""
    kept: list[Photo] = []
    count: dict[tuple[str, str], int] = defaultdict(int)
    for photo in photos:
        kind = photo.source, photo.label
        count[kind] += 1
        if photo.label and count[kind] <= per_class:
            kept.append(photo)
    return kept


def device_view(image: np.ndarray, size: int = SIZE) -> np.ndarray:
    """What a device makes of an image: uint8 [H, W, 3] -> uint8 [size, size, 3], the centred square resampled."""
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = np.ascontiguousarray(image[top : top + side, left : left + side])
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_LINEAR)


def crop_box(height: int, width: int, crop: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Top, left, height and width of crop number `crop` of a picture.

    Crop 0 is the centred square that a device takes. The others cover 0.2 to 1 of the area at a random place, with
    sides of a ratio between 3/4 and 4/3.
    """
    if crop == 0:
        side = min(height, width)
        return (height - side) // 2, (width - side) // 2, side, side
    area = height * width * rng.uniform(0.2, 1)
    stretch = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)) / 2)
    h, w = min(height, round(math.sqrt(area) * stretch)), min(width, round(math.sqrt(area) / stretch))
    return int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1)), h, w
