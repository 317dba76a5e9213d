"""Pack what `python recipes/default_embedder` trained into the bundle that ships inside the package.

    python recipes/default_embedder/pack.py --data DATA --out OUT [--bundle runtime/models/default.edgefs]

OUT holds student.safetensors, student.json and the lessons. `card.py` writes the model card, once the bundle has been
measured. The golden frames are public-domain and CC0 photographs that scikit-image carries, so they may travel
with the package.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import skimage.data
from distil import git_commit
from photos import SIZE, photos_of, read_held_out, read_views, split_classes
from student import MEAN, STD, embed, load_student, unit
from whiten import whiten

from exporters.onnx.graph import EmbedderGraph
from exporters.onnx.weight_storage import round_weights
from exporters.pack import pack
from exporters.verify.calibration import calibration_table
from runtime.bundle import Bundle
from runtime.matching.prototypes import class_mean
from runtime.preprocess import Preprocess

CLASS_PHOTOS = 12  # of each training class: for the background and the whitening
WEIGHTS = "int8"
GOLDEN = ("astronaut", "chelsea", "coffee", "rocket")


def golden_frames(preprocess: Preprocess) -> np.ndarray:
    """`uint8 [G, H, W, 3]` BGR."""
    photos = [getattr(skimage.data, name)()[..., ::-1] for name in GOLDEN]
    return preprocess.batch([np.ascontiguousarray(photo) for photo in photos])


def training_views(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Device views uint8 [N, SIZE, SIZE, 3] and class ids of some photos of every training class."""
    classes = [folder for folders in split_classes(data)[0].values() for folder in folders]
    return read_views([photos_of(folder)[:CLASS_PHOTOS] for folder in classes])


def background(embeddings: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Prototypes `float32 [B, D]` of the training classes: what the device takes for "things in general"."""
    return np.stack([class_mean(embeddings[labels == label], "cosine") for label in np.unique(labels)])


def build(data: Path, out: Path) -> Bundle:
    student = load_student(out / "student.safetensors").folded()
    base = training_views(data)
    whiten(student, np.load(out / "pictures.npy", mmap_mode="r"), *base)
    facts = json.loads((out / "student.json").read_text())
    preprocess = Preprocess((SIZE, SIZE), channels=3, crop="square", resampler="linear")
    graph = EmbedderGraph(student, mean=[MEAN] * 3, std=[STD] * 3, colour="rgb", metric="cosine")
    round_weights(graph, WEIGHTS)  # before anything is calibrated with them
    views, labels = read_held_out(data)
    provenance = {
        "recipe": "recipes/default_embedder",
        "commit": git_commit(),
        "data": "tiny-imagenet (180 classes), Caltech-101 (92), CIFAR-FS train (64) and Office amazon (10)",
        "teacher": "torchvision mobilenet_v2, ImageNet weights (not shipped)",
        "parameters": facts["parameters"],
        "training": {key: facts[key] for key in ("config", "start", "lessons", "step", "seconds")},
        "held_out": {key: value for key, value in facts.items() if key.endswith("_5_way")},
        "golden_frames": [f"scikit-image {name}" for name in GOLDEN],
    }
    return pack(
        graph,
        preprocess,
        name="edgefs-default",
        description="Embeds photographs of any object; the embedded default.",
        golden_frames=golden_frames(preprocess),
        weights=WEIGHTS,
        calibration=calibration_table(unit(embed(student, views)), labels, metric="cosine"),
        background=background(unit(embed(student, base[0])), base[1]),
        provenance=provenance,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the same folder as for training")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, default=Path(__file__).parents[2] / "runtime/models/default.edgefs")
    args = parser.parse_args()
    bundle = build(args.data, args.out).save(args.bundle, overwrite=True)
    for info in bundle.verify():
        print(info)
    print(f"{bundle.path}: {sum(entry['bytes'] for entry in bundle.manifest['files'].values()):,} bytes")


if __name__ == "__main__":
    main()
