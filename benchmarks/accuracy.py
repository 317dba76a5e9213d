"""What the default bundle does on things it never saw: Grocery, COIL-100, Office webcam, CIFAR-FS val.

    python -m benchmarks.accuracy --data FOLDER [--bundle PATH] [--engine auto]

FOLDER holds the public sets as plain class folders: grocery/train/**/<class>/*.jpg, coil100/obj<N>__<degrees>.png,
office_caltech10/webcam/<class>/*.jpg, cifar_fs/val/<class>/*.png. Every picture goes the device's way: decode, centre
square, resample, engine.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.common import save
from edgefs.cli.options import load_bundle
from edgefs.evaluation.metrics import few_shot_accuracy
from edgefs.reports.tables import table
from runtime.matching.prototypes import class_mean, similarity
from runtime.opencv import read_image
from runtime.recognizer import Recognizer

PICTURES = {".jpg", ".jpeg", ".png"}
# set: (folder, [(n_way, n_shot, n_query)])
SETS = {
    "grocery": ("grocery/train", [(5, 1, 4), (5, 4, 1), (81, 4, 1)]),  # 5 photos a class: 4 shots leave one query
    "office_webcam": ("office_caltech10/webcam", [(5, 1, 3), (5, 5, 3)]),
    "cifar_fs_val": ("cifar_fs/val", [(5, 1, 15), (5, 5, 15)]),
}


def embed_folder(recognizer: Recognizer, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Embed every picture below folder; the class is the folder it lies in."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES)
    classes = sorted({path.parent for path in paths})
    embeddings = [recognizer.embed([read_image(path) for path in paths[i : i + 64]]) for i in range(0, len(paths), 64)]
    return np.concatenate(embeddings), np.array([classes.index(path.parent) for path in paths])


def embed_coil(recognizer: Recognizer, folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embed the turntable's views; the object that each shows, and from how many degrees."""
    paths = sorted(folder.glob("obj*__*.png"))
    objects = np.array([int(path.stem.split("__")[0][3:]) for path in paths])
    degrees = np.array([int(path.stem.split("__")[1]) for path in paths])
    return recognizer.embed([read_image(path) for path in paths]), objects, degrees


def coil_accuracy(recognizer: Recognizer, folder: Path, views: tuple[int, ...]) -> tuple[float, int]:
    """Closed-set accuracy, in percent, on the views that were not enrolled, and how many those are."""
    embeddings, objects, degrees = embed_coil(recognizer, folder)
    shown = np.isin(degrees, views)
    names = np.unique(objects)
    metric = recognizer.bundle.metric
    prototypes = np.stack([class_mean(embeddings[shown & (objects == name)], metric) for name in names])
    answers = names[[int(similarity(prototypes, z, metric).argmax()) for z in embeddings[~shown]]]
    return float(100 * (answers == objects[~shown]).mean()), int((~shown).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle")
    parser.add_argument("--engine", default="auto")
    args = parser.parse_args()
    figures: dict[str, object] = {}
    summary: dict[str, str] = {}
    with Recognizer(load_bundle(args.bundle), engine=args.engine) as recognizer:
        for name, (folder, episodes) in SETS.items():
            embeddings, labels = embed_folder(recognizer, args.data / folder)
            for n_way, n_shot, n_query in episodes:
                accuracy = few_shot_accuracy(
                    embeddings, labels, n_way=n_way, n_shot=n_shot, n_query=n_query, metric=recognizer.bundle.metric
                )
                figures[f"{name} {n_way}-way {n_shot}-shot"] = vars(accuracy)
                summary[f"{name}, {n_way}-way {n_shot}-shot"] = f"{accuracy.mean:.1f} ± {accuracy.interval:.1f} %"
        for views in ((0,), (0, 120, 240)):
            accuracy_percent, count = coil_accuracy(recognizer, args.data / "coil100", views)
            figures[f"coil100 13-way {len(views)} views"] = {"mean": accuracy_percent, "queries": count}
            summary[f"coil100, 13-way, {len(views)} view(s) shown"] = f"{accuracy_percent:.1f} % of {count} views"
        facts = {"bundle": recognizer.bundle.name, "fingerprint": recognizer.bundle.fingerprint}
        engine = vars(recognizer.engine.info)
    print(table(list(summary.items()), ("set and task", "nearest class mean, 95 % interval")))
    print(f"written to {save('accuracy', {**facts, 'engine': engine, 'summary': summary, 'figures': figures})}")


if __name__ == "__main__":
    main()
