"""Few-shot accuracy on data never trained or selected on, and the material of the rejection table."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
from photos import classes_of, photos_of, read_held_out, read_views
from student import embed, load_student, unit


def scores_of(support: np.ndarray, support_labels: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Cosine of each query to each class prototype (mean of the unit shots, made unit again)."""
    prototypes = np.stack([support[support_labels == c].mean(0) for c in range(support_labels.max() + 1)])
    return query @ (prototypes / np.linalg.norm(prototypes, axis=1, keepdims=True)).T


def sample_episode(labels: np.ndarray, rng: np.random.Generator, n_way: int, n_shot: int, n_query: int = 15):
    """Rows of support and of query, in the order of the episode's classes, with their labels 0..n_way-1."""
    chosen = rng.choice(np.unique(labels), n_way, replace=False)
    rows = [rng.permutation(np.flatnonzero(labels == c))[: n_shot + n_query] for c in chosen]
    support, query = np.concatenate([r[:n_shot] for r in rows]), np.concatenate([r[n_shot:] for r in rows])
    ways = np.arange(n_way)
    return support, np.repeat(ways, n_shot), query, np.repeat(ways, [len(r) - n_shot for r in rows])


def percent(accuracies: list[float]) -> dict[str, float]:
    interval = 1.96 * np.std(accuracies) / math.sqrt(len(accuracies))
    return {"accuracy": round(100 * float(np.mean(accuracies)), 2), "ci95": round(100 * float(interval), 2)}


def few_shot(z: np.ndarray, labels: np.ndarray, n_shot: int, n_way: int = 5, episodes: int = 600) -> dict[str, float]:
    rng, accuracies = np.random.default_rng(0), []
    for _ in range(episodes):
        support, support_labels, query, query_labels = sample_episode(labels, rng, n_way, n_shot)
        accuracies.append((scores_of(z[support], support_labels, z[query]).argmax(1) == query_labels).mean())
    return percent(accuracies)


def auroc(high: np.ndarray, low: np.ndarray) -> float:
    """Chance that a draw of `high` exceeds one of `low`."""
    low = np.sort(low)
    return float((np.searchsorted(low, high, "left") + np.searchsorted(low, high, "right")).mean() / 2 / len(low))


def stranger_auroc(z: np.ndarray, labels: np.ndarray, n_shot: int, n_way: int = 5, episodes: int = 600) -> float:
    """How well the best cosine tells photos of enrolled classes from photos of others, pooled over episodes."""
    rng, known, strange = np.random.default_rng(0), [], []
    for _ in range(episodes):
        support, support_labels, query, _ = sample_episode(labels, rng, n_way, n_shot)
        others = rng.choice(np.flatnonzero(~np.isin(labels, labels[support])), len(query), replace=False)
        known.append(scores_of(z[support], support_labels, z[query]).max(1))
        strange.append(scores_of(z[support], support_labels, z[others]).max(1))
    return round(auroc(np.concatenate(known), np.concatenate(strange)), 4)


def turntable(z: np.ndarray, labels: np.ndarray, angles: np.ndarray, enrolled: tuple[int, ...]) -> float:
    """COIL-100, every object at once: accuracy on the angles that were not enrolled."""
    seen = np.isin(angles, enrolled)
    best = scores_of(z[seen], labels[seen], z[~seen]).argmax(1)
    return round(100 * float((best == labels[~seen]).mean()), 2)


def coil_photos(data: Path) -> tuple[list[list[Path]], np.ndarray]:
    """COIL-100 photos object by object, and the turntable angle of each, in degrees."""
    photos = photos_of(data / "coil100")
    names = sorted({p.stem.split("__")[0] for p in photos})
    classes = [[p for p in photos if p.stem.split("__")[0] == name] for name in names]
    return classes, np.array([int(p.stem.split("__")[1]) for photos in classes for p in photos])


def measure(data: Path, out: Path) -> dict:
    student = load_student(out / "student.safetensors")

    def embedded(classes: list[list[Path]], resampler: int = cv2.INTER_LINEAR) -> tuple[np.ndarray, np.ndarray]:
        views, labels = read_views(classes, resampler)
        return unit(embed(student, views, student.base_mean)), labels

    grocery, webcam, cifar = (
        [photos_of(folder) for folder in classes_of(data / name)]
        for name in ("grocery/train", "office_caltech10/webcam", "cifar_fs/val")
    )
    coil, angles = coil_photos(data)
    figures = {}
    for name, resampler in (("linear", cv2.INTER_LINEAR), ("area", cv2.INTER_AREA)):
        shop, office = embedded(grocery, resampler), embedded(webcam, resampler)
        figures[name] = {
            "grocery_5_way": {f"{k}_shot": few_shot(*shop, n_shot=k) for k in (1, 4)},
            "grocery_5_way_4_shot_stranger_auroc": stranger_auroc(*shop, n_shot=4),
            "office_webcam_5_way": {f"{k}_shot": few_shot(*office, n_shot=k) for k in (1, 5)},
        }
    turned, small = embedded(coil), embedded(cifar)
    figures["linear"] |= {
        "coil100_13_way": {f"{len(a)}_views": turntable(*turned, angles, a) for a in ((0,), (0, 120, 240))},
        "cifar_fs_val_5_way": {f"{k}_shot": few_shot(*small, n_shot=k) for k in (1, 5)},
    }
    (out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    return figures


def calibration_material(data: Path, out: Path) -> None:
    """Embeddings [N, DIM] and class ids [N] of the held-out base classes, for the exporter's rejection table."""
    student = load_student(out / "student.safetensors")
    views, labels = read_held_out(data)
    z = unit(embed(student, views, student.base_mean))
    np.savez_compressed(out / "calibration.npz", embeddings=z, labels=labels)
