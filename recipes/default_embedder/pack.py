"""Pack what `python recipes/default_embedder` trained into the bundle that ships inside the package.

    python recipes/default_embedder/pack.py --shared ../shared --out OUT [--bundle runtime/models/default.edgefs]

OUT holds student.safetensors and student.json. `card.py` writes the model card once the bundle has been measured. The
golden frames are public-domain and CC0 photographs that scikit-image carries, so they may travel with the package.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import skimage.data
from distil import git_commit
from photos import SIZE, Photo, device_view, limited, read_amazon, read_pool, split
from student import MEAN, STD, Student, embed, load_student, unit

from exporters.calibrate import calibration_table
from exporters.graph import EmbedderGraph
from exporters.pack import pack
from exporters.storage import round_weights
from runtime.bundle import Bundle
from runtime.preprocess import Preprocess
from runtime.prototypes import class_mean

WEIGHTS = "int8"
GOLDEN = ("astronaut", "chelsea", "coffee", "rocket")
BACKGROUND_PHOTOS = (5, 12)  # of each training class: at least, at most
BACKGROUND_CLASSES = 160
CALIBRATION_SOURCES = ("amazon", "caltech101", "foodish", "trashnet", "vgg_search")
CALIBRATION_PHOTOS = 60  # of each class


def golden_frames(preprocess: Preprocess) -> np.ndarray:
    """Frames that the bundle re-checks itself with: uint8 [G, H, W, 3] BGR."""
    photos = [getattr(skimage.data, name)()[..., ::-1] for name in GOLDEN]
    return preprocess.batch([np.ascontiguousarray(photo) for photo in photos])


def embeddings_of(student: Student, photos: list[Photo]) -> tuple[np.ndarray, np.ndarray]:
    """Unit embeddings float32 [N, D] of photographs and their class ids int [N]."""
    views = np.stack([device_view(photo.decode()) for photo in photos])
    names = [f"{photo.source}/{photo.label}" for photo in photos]
    return unit(embed(student, views)), np.unique(names, return_inverse=True)[1]


def background(student: Student, training: list[Photo]) -> np.ndarray:
    """Prototypes float32 [B, D] of training classes, which stand for things in general on a device."""
    least, most = BACKGROUND_PHOTOS
    embeddings, labels = embeddings_of(student, limited(training, most))
    counts = np.bincount(labels)
    chosen = np.flatnonzero(counts >= least)
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(BACKGROUND_CLASSES, len(chosen))).astype(int)]
    return np.stack([class_mean(embeddings[labels == label], "cosine") for label in chosen])


def calibration(student: Student, held_out: list[Photo]) -> dict[str, object]:
    """The acceptance table, from classes that were never trained on."""
    photos = [photo for photo in held_out if photo.source in CALIBRATION_SOURCES]
    return calibration_table(*embeddings_of(student, limited(photos, CALIBRATION_PHOTOS)), metric="cosine")


def build(shared: Path, out: Path) -> Bundle:
    """The bundle of the trained student."""
    facts = json.loads((out / "student.json").read_text())
    preprocess = Preprocess((SIZE, SIZE), channels=3, crop="square", resampler="linear")
    student = load_student(out / "student.safetensors")
    graph = EmbedderGraph(student, mean=[MEAN] * 3, std=[STD] * 3, colour="rgb", metric="cosine")
    round_weights(graph, WEIGHTS)  # before anything is calibrated with them
    training, held_out = split(read_pool(shared))
    held_out += read_amazon(shared)
    provenance = {
        "recipe": "recipes/default_embedder",
        "commit": git_commit(),
        "data": f"{len(training):,} photographs of shared/data/photos_pool",
        "initial_weights": "MobileNetV2, ImageNet (google-coral/test_data, Apache-2.0)",
        "teacher": "MobileNetV2 at 224 pixels and EfficientNet-Lite2 at 260 pixels, ImageNet weights (not shipped)",
        "parameters": facts["parameters"],
        "training": {key: facts[key] for key in ("config", "targets", "step", "cpu_seconds")},
        "held_out": facts.get("held_out"),
        "golden_frames": [f"scikit-image {name}" for name in GOLDEN],
    }
    return pack(
        graph,
        preprocess,
        name="edgefs-default",
        description="Embeds photographs of any object; the embedded default.",
        golden_frames=golden_frames(preprocess),
        weights=WEIGHTS,
        calibration=calibration(student, held_out),
        background=background(student, training),
        provenance=provenance,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="the folder `shared`, as for training")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, default=Path(__file__).parents[2] / "runtime/models/default.edgefs")
    args = parser.parse_args()
    bundle = build(args.shared, args.out).save(args.bundle, overwrite=True)
    for info in bundle.verify():
        print(info)
    print(f"{bundle.path}: {sum(entry['bytes'] for entry in bundle.manifest['files'].values()):,} bytes")


if __name__ == "__main__":
    main()
