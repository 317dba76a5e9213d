"""The photographs: which train, which are held out, and how a device sees one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

SIZE = 160  # pixels, the student's input
IMAGE_TYPES = {".png", ".jpg", ".jpeg"}
SOURCES = ("tiny_imagenet", "caltech101", "office_caltech10/amazon", "cifar_fs/train")
HELD_OUT_SOURCES = ("tiny_imagenet", "caltech101")


def classes_of(folder: Path) -> list[Path]:
    """Every folder below `folder` that holds photos, sorted: class lists must not depend on the file system."""
    return sorted({p.parent for p in folder.rglob("*") if p.suffix.lower() in IMAGE_TYPES})


def photos_of(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_TYPES)


def split_classes(data: Path) -> tuple[dict[str, list[Path]], list[Path]]:
    """Training classes per source, and held-out classes (every 10th of the pool, and CIFAR-FS val)."""
    training = {source: classes_of(data / source) for source in SOURCES}
    held_out = [c for source in HELD_OUT_SOURCES for c in training[source][5::10]]
    training = {source: [c for c in classes if c not in held_out] for source, classes in training.items()}
    return training, held_out + classes_of(data / "cifar_fs/val")


def read_rgb(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_COLOR)[:, :, ::-1]


def centre_square(image: np.ndarray) -> np.ndarray:
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return image[top : top + side, left : left + side]


def device_view(image: np.ndarray, resampler: int = cv2.INTER_LINEAR) -> np.ndarray:
    """uint8 RGB of any size -> uint8 [SIZE, SIZE, 3], as the device does it."""
    return cv2.resize(np.ascontiguousarray(centre_square(image)), (SIZE, SIZE), interpolation=resampler)


def read_held_out(data: Path, per_class: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Device views uint8 [N, SIZE, SIZE, 3] and class ids of the held-out base classes."""
    return read_views([photos_of(folder)[:per_class] for folder in split_classes(data)[1]])


def read_views(classes: list[list[Path]], resampler: int = cv2.INTER_LINEAR) -> tuple[np.ndarray, np.ndarray]:
    views = [device_view(read_rgb(photo), resampler) for photos in classes for photo in photos]
    return np.stack(views), np.repeat(np.arange(len(classes)), [len(photos) for photos in classes])


def read_quartets(data: Path, per_class: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Four photos of a held-out class on one picture, each about its own size: a held-out measure of *sharp* sight."""
    classes = [folder for folder in split_classes(data)[1] if "cifar_fs" not in folder.parts]
    pictures, half = [], SIZE // 2
    for folder in classes:
        photos = [
            cv2.resize(np.ascontiguousarray(centre_square(read_rgb(p))), (half, half))
            for p in photos_of(folder)[: 4 * per_class]
        ]
        pairs = [np.hstack(photos[i : i + 2]) for i in range(0, len(photos) - 1, 2)]
        pictures.append([np.vstack(pairs[i : i + 2]) for i in range(0, len(pairs) - 1, 2)])
    labels = np.repeat(np.arange(len(classes)), [len(own) for own in pictures])
    return np.stack([picture for own in pictures for picture in own]), labels
