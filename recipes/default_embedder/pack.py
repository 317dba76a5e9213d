"""Pack what `python recipes/default_embedder` trained into the bundle that ships inside the package.

    python recipes/default_embedder/pack.py --data DATA --out OUT [--bundle runtime/models/default.edgefs]

OUT holds student.safetensors, student.json, figures.json and calibration.npz. The golden frames are public-domain and
CC0 photographs that scikit-image carries, so they may travel with the package.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path

import numpy as np
import skimage.data
from crops import DIM
from distil import git_commit
from photos import SIZE, photos_of, read_views, split_classes
from student import MEAN, STD, Student, embed, load_student, unit

from exporters.calibrate import calibration_table
from exporters.graph import EmbedderGraph
from exporters.pack import pack
from runtime.bundle import Bundle
from runtime.preprocess import Preprocess
from runtime.prototypes import class_mean

BACKGROUND_PHOTOS = 12  # of each class
GOLDEN = ("astronaut", "chelsea", "coffee", "rocket")
CARD = """# The embedded default embedder

A first one, meant to work out of the box on things it has never seen; a later release raises its quality.

- **Network**: {architecture}, {parameters:,} parameters, stored as float16, computed in float32;
  {size} x {size} pixels in, {dim} numbers out.
- **Learned from** random weights, on {data}.
  Its targets are the embeddings of an ImageNet MobileNetV2 (the teacher, which is not shipped) on the same crops; no
  label was used. Recipe: `recipes/default_embedder`, commit {commit}.
- **Never trained or selected on**: Grocery, COIL-100, Office webcam. On them, percent, with the 95 % interval over 600
  episodes:

```json
{figures}
```

- **Limits**: trained on small, mostly blurred photographs of about 350 kinds of things. It tells objects apart by
  overall look; print, faces, near-identical parts and things that fill less than a third of the frame are beyond it.
  The rejection table and the background come from classes of that kind, not from yours.
- **Terms**: the training sets and the teacher's are research data; read their terms before you ship this in a product.
"""


def golden_frames(preprocess: Preprocess) -> np.ndarray:
    """`uint8 [G, H, W, 3]` BGR."""
    photos = [getattr(skimage.data, name)()[..., ::-1] for name in GOLDEN]
    return preprocess.batch([np.ascontiguousarray(photo) for photo in photos])


def background(student: Student, data: Path) -> np.ndarray:
    """Prototypes `float32 [B, D]` of the training classes: what the device takes for "things in general"."""
    classes = [folder for folders in split_classes(data)[0].values() for folder in folders]
    views, labels = read_views([photos_of(folder)[:BACKGROUND_PHOTOS] for folder in classes])
    embeddings = unit(embed(student, views, student.base_mean))
    return np.stack([class_mean(embeddings[labels == label], "cosine") for label in np.unique(labels)])


def build(data_folder: Path, out: Path) -> Bundle:
    student = load_student(out / "student.safetensors")
    facts = json.loads((out / "student.json").read_text())
    figures = json.loads((out / "figures.json").read_text())
    material = np.load(out / "calibration.npz")
    preprocess = Preprocess((SIZE, SIZE), channels=3, crop="square", resampler="linear")
    graph = EmbedderGraph(
        student,
        mean=[MEAN] * 3,
        std=[STD] * 3,
        colour="rgb",
        metric="cosine",
        base_mean=student.base_mean.clone(),
    )
    data = "tiny-imagenet (180 classes), Caltech-101 (92), CIFAR-FS train (64) and Office amazon (10)"
    provenance = {
        "recipe": "recipes/default_embedder",
        "commit": git_commit(),
        "date": datetime.date.today().isoformat(),
        "data": data,
        "teacher": "torchvision mobilenet_v2, ImageNet weights (not shipped)",
        "training": facts["config"],
        "measured": figures,
        "golden_frames": [f"scikit-image {name}" for name in GOLDEN],
    }
    card = CARD.format(
        architecture="a narrow ResNet of plain 3x3 convolutions",
        parameters=facts["parameters"],
        size=SIZE,
        dim=DIM,
        data=data,
        commit=git_commit(),
        figures=json.dumps(figures, indent=1),
    )
    return pack(
        graph,
        preprocess,
        name="edgefs-default",
        description="Embeds photographs of any object; the first embedded default.",
        golden_frames=golden_frames(preprocess),
        half_weights=True,
        calibration=calibration_table(material["embeddings"], material["labels"], metric="cosine"),
        background=background(student, data_folder),
        provenance=provenance,
        card=card,
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
