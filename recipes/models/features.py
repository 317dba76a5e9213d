"""The features of the photographs and clips that the statistics of a rung are made of, embedded once and kept.

Features are neither centred nor normalised: `float32 [N, D]` as the network gives them.
"""

from __future__ import annotations

import csv
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefs.models.ladder import Rung
from edgefs.models.network import rung_source
from exporters.onnx.trace import to_onnx
from exporters.sources.clips import read_clips
from runtime.bundle import Bundle
from runtime.engines import Engine, open_engine
from runtime.opencv import decode_image
from runtime.preprocess import Preprocess

PER_CLASS = 21  # of some classes, so that up to 20 shots and a query can be drawn
LARGE_CLASSES = 60  # that have so many photographs
FRAMES = 60  # of each clip, at most
BATCH = 16


@dataclass(frozen=True, eq=False)
class Photos:
    """Features of photographs, `float32 [N, D]`, and the class of each, `int64 [N]`."""

    features: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClipFeatures:
    """Features of one clip.

    Attributes:
        name: The name of the clip.
        group: The name of the thing; clips of one group show the same thing on different occasions.
        features: `float32 [frames, D]`.
        times_s: Seconds from the start of the clip, `float64 [frames]`.
    """

    name: str
    group: str
    features: NDArray[np.float32]
    times_s: NDArray[np.float64]


def features_of(rung: Rung, data: Path, work: Path) -> tuple[Photos, list[ClipFeatures]]:
    """Embed the photographs and clips of a rung, or read them from `work` where that was done before."""
    file = work / f"{rung.name}-features.npz"
    if not file.exists():
        work.mkdir(parents=True, exist_ok=True)
        np.savez(file, **_embedded(rung, data))
    with np.load(file, allow_pickle=False) as kept:
        photos = Photos(kept["photos"], kept["labels"])
        of = kept["clip"]
        clips = [
            ClipFeatures(str(name), str(kept["groups"][i]), kept["frames"][of == i], kept["times_s"][of == i])
            for i, name in enumerate(kept["names"])
        ]
    return photos, clips


def raw_engine(rung: Rung) -> Engine:
    """Open the network of a rung without its metric: the engine gives features."""
    source = rung_source(rung)
    source.graph.metric = "euclidean"
    frames = np.random.default_rng(0).integers(0, 256, (2, *source.preprocess.shape), np.uint8)
    bundle = Bundle.build(
        name=rung.name,
        description="features",
        preprocess=source.preprocess,
        metric="euclidean",
        model=to_onnx(source.graph, source.preprocess),
        golden_frames=frames,
        golden_embeddings=source.features(frames),
    )
    return open_engine(bundle, "openvino", threads=1)


def embed(engine: Engine, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Run engine inputs `uint8 [N, H, W, C]` in batches."""
    return np.concatenate([engine.embed(frames[i : i + BATCH]) for i in range(0, len(frames), BATCH)])


def _embedded(rung: Rung, data: Path) -> dict[str, NDArray[np.generic]]:
    engine = raw_engine(rung)
    preprocess = rung_source(rung).preprocess
    features, labels = [], []
    for frames, of in _batches(data / "photos_pool", preprocess):
        features.append(engine.embed(frames))
        labels.append(of)
    clips = [
        (clip.name, clip.group, embed(engine, preprocess.batch(clip.frames)), clip.times_s)
        for clip in read_clips(data / "clips", max_frames=FRAMES)
    ]
    names, groups, rows, times_s = zip(*clips, strict=True)
    return {
        "photos": np.concatenate(features),
        "labels": np.concatenate(labels),
        "names": np.array(names),
        "groups": np.array(groups),
        "frames": np.concatenate(rows),
        "times_s": np.concatenate(times_s),
        "clip": np.repeat(np.arange(len(rows)), [len(row) for row in rows]),
    }


def _batches(pool: Path, preprocess: Preprocess) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Engine inputs and class ids of the chosen photographs of the pool, in batches."""
    chosen = _choose(pool / "index.csv")
    archives = {name: zipfile.ZipFile(pool / name) for name in sorted({row["zip"] for row, _ in chosen})}
    for start in range(0, len(chosen), BATCH):
        some = chosen[start : start + BATCH]
        images = [decode_image(archives[row["zip"]].read(row["name"]), row["name"]) for row, _ in some]
        yield preprocess.batch(images), np.array([label for _, label in some], np.int64)
    for archive in archives.values():
        archive.close()


def sources_of(labels: NDArray[np.int64], data: Path) -> list[str]:
    """The archive that each photograph is from, for class ids as `Photos` has them."""
    keys = sorted(_sizes(data / "photos_pool" / "index.csv"))
    return [keys[label][0] for label in labels]


def _sizes(index: Path) -> Counter[tuple[str, str]]:
    """How many photographs each class of each archive has."""
    with index.open(newline="") as file:
        return Counter((row["zip"], row["class"]) for row in csv.DictReader(file) if row["class"])


def _choose(index: Path) -> list[tuple[dict[str, str], int]]:
    """PER_CLASS photographs of LARGE_CLASSES random classes, and one of every other class, with class ids."""
    with index.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["class"]]
    sizes = _sizes(index)
    large = sorted(key for key, size in sizes.items() if size >= PER_CLASS)
    picked = np.random.default_rng(0).permutation(len(large))[:LARGE_CLASSES]
    wanted = {large[i]: PER_CLASS for i in picked}
    ids = {key: label for label, key in enumerate(sorted(sizes))}
    taken: Counter[tuple[str, str]] = Counter()
    chosen = []
    for row in rows:
        key = row["zip"], row["class"]
        if taken[key] < wanted.get(key, 1):
            taken[key] += 1
            chosen.append((row, ids[key]))
    return chosen
