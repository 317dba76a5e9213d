"""Measure every model of the ladder in the same way, for the cards that `edgefs models show` prints.

    edgefs models pull standard && edgefs models pull large
    python -m benchmarks.ladder --data FOLDER [--clips FOLDER] [--seconds 10]

FOLDER holds the public sets as `benchmarks.accuracy` describes them; the clips are as `exporters/sources/clips.py`
describes them. Open set: 200 random galleries of half of the classes; the score is the best cosine to a class mean, and
one threshold is chosen with hindsight so that 5 % of the strangers pass. The figures go to edgefs/models/data.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy import coil_accuracy, embed_folder
from benchmarks.common import host, save
from edgefs.bench.tune import measure
from edgefs.evaluation.metrics import few_shot_accuracy
from edgefs.models.cards import MEASURED
from edgefs.models.ladder import NAMES
from edgefs.models.store import open_model
from exporters.sources.clips import read_clips
from runtime.bundle import Bundle
from runtime.matching.prototypes import class_mean
from runtime.recognizer import Recognizer

RATE = 0.05  # of the strangers
N_GALLERIES = 200
HOLD_S = 3.0  # of each clip is taught
GAP_S = 1.0  # between the last taught frame and the first known one
N_WAY = 5
Embeddings = NDArray[np.float32]
# title: folder, classes (0: all), shots, queries
FEW_SHOT = {
    "Grocery shop photos, 5-way 1-shot": ("grocery/train", 5, 1, 4),
    "Grocery shop photos, 5-way 4-shot": ("grocery/train", 5, 4, 1),
    "Grocery shop photos, 81-way 4-shot": ("grocery/train", 81, 4, 1),
    "Office webcam, 5-way 1-shot": ("office_caltech10/webcam", 5, 1, 3),
    "Office webcam, 5-way 5-shot": ("office_caltech10/webcam", 5, 5, 3),
}


def photo_figures(recognizer: Recognizer, data: Path) -> tuple[dict[str, str], dict[str, float]]:
    """Measure few-shot accuracy and the open set on photographs; figures for people, and the same as numbers."""
    words, numbers, known = {}, {}, {}
    for title, (folder, n_way, n_shot, n_query) in FEW_SHOT.items():
        if folder not in known:
            known[folder] = embed_folder(recognizer, data / folder)
        found = few_shot_accuracy(*known[folder], n_way=n_way, n_shot=n_shot, n_query=n_query)
        words[title] = f"{found.mean:.1f} ± {found.interval:.1f} %"
        numbers[title] = found.mean
    for n_views, degrees in ((1, (0,)), (3, (0, 120, 240))):
        accuracy, _ = coil_accuracy(recognizer, data / "coil100", degrees)
        words[f"COIL-100, 13-way, {n_views} views"] = f"{accuracy:.1f} %"
        numbers[f"COIL-100, 13-way, {n_views} views"] = accuracy
    title = "Grocery shop photos, half of the kinds taught from 4 shots, 5 % of strangers named"
    numbers[title] = named_at_rate(_photo_galleries(*known["grocery/train"], n_shot=4))
    words[title] = f"{numbers[title]:.1f} % of known photos named"
    return words, numbers


def clip_figures(recognizer: Recognizer, folder: Path) -> tuple[dict[str, str], dict[str, float]]:
    """Measure the open set on clips: five things taught from their first seconds, the other things are strangers."""
    clips = [(clip.group, clip.times_s, recognizer.embed(clip.frames)) for clip in read_clips(folder, max_frames=60)]
    share = named_at_rate(_clip_galleries(clips))
    title = "Real clips, 5 things taught from 3 s, 5 % of strangers named"
    return {title: f"{share:.1f} % of known frames named"}, {title: share}


def named_at_rate(galleries: list[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> float:
    """The share of known queries that are named rightly, in percent, at the threshold that RATE of the strangers pass.

    Args:
        galleries: The scores of known queries, -1 where another class scores best, and those of strangers.
    """
    known, strangers = (np.concatenate(side) for side in zip(*galleries, strict=True))
    return float(100 * (known >= np.quantile(strangers, 1 - RATE)).mean())


def _scores(
    prototypes: Embeddings, known: Embeddings, rows: NDArray[np.int64], strangers: Embeddings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    found = known @ prototypes.T
    return np.where(found.argmax(axis=1) == rows, found.max(axis=1), -1.0), (strangers @ prototypes.T).max(axis=1)


def _photo_galleries(z: Embeddings, labels: NDArray[np.int64], *, n_shot: int) -> list[Any]:
    rng, classes, galleries = np.random.default_rng(0), np.unique(labels), []
    for _ in range(N_GALLERIES):
        taught = rng.permutation(classes)[: len(classes) // 2]
        rows = [rng.permutation(np.flatnonzero(labels == label)) for label in taught]
        prototypes = np.stack([class_mean(z[own[:n_shot]], "cosine") for own in rows])
        known = np.concatenate([z[own[n_shot:]] for own in rows])
        own_rows = np.repeat(np.arange(len(rows)), [len(own) - n_shot for own in rows])
        galleries.append(_scores(prototypes, known, own_rows, z[~np.isin(labels, taught)]))
    return galleries


def _clip_galleries(clips: list[tuple[str, NDArray[np.float64], Embeddings]]) -> list[Any]:
    rng, galleries = np.random.default_rng(0), []
    long = [clip for clip in clips if clip[1][-1] >= HOLD_S + GAP_S + 0.5]
    groups = sorted({group for group, _, _ in long})
    for _ in range(N_GALLERIES):
        names = rng.choice(groups, N_WAY, replace=False)
        taught = [next(long[i] for i in rng.permutation(len(long)) if long[i][0] == name) for name in names]
        prototypes = np.stack([class_mean(z[times <= HOLD_S], "cosine") for _, times, z in taught])
        known = [z[times > HOLD_S + GAP_S] for _, times, z in taught]
        rows = np.repeat(np.arange(N_WAY), [len(z) for z in known])
        strangers = np.concatenate([z[::4] for group, _, z in clips if group not in names])
        galleries.append(_scores(prototypes, np.concatenate(known), rows, strangers))
    return galleries


def figures_of(bundle: Bundle, data: Path, clips: Path | None, seconds: float) -> dict[str, Any]:
    """Measure one model: its size, the time of one frame on one thread, and its accuracy."""
    settings = [setting for setting in measure(bundle, seconds) if setting.threads == 1]
    fastest = min(settings, key=lambda setting: setting.p50_ms)
    megabytes = sum(entry["bytes"] for entry in bundle.manifest["files"].values()) / 1e6
    with Recognizer(bundle) as recognizer:
        words, numbers = photo_figures(recognizer, data)
        if clips:
            more = clip_figures(recognizer, clips)
            words, numbers = words | more[0], numbers | more[1]
    first = "Grocery shop photos, 5-way 1-shot"
    times = ", ".join(f"{s.p50_ms:.1f} ms with {s.engine}" for s in settings)
    return {
        "fingerprint": bundle.fingerprint,
        "engine_ms": round(fastest.p50_ms, 2),
        "megabytes": round(megabytes, 1),
        "shop_5way_1shot": round(numbers[first], 1),
        "summary": {"one frame, one thread": times, "size of the bundle": f"{megabytes:.1f} MB", **words},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0, help="for the latency of each engine")
    args = parser.parse_args()
    models = {name: figures_of(open_model(name), args.data, args.clips, args.seconds) for name in NAMES}
    for name, figures in models.items():
        print(name, json.dumps(figures["summary"], indent=1, ensure_ascii=False))
    facts = {key: value for key, value in host().items() if key in ("machine", "cpu", "date", "commit", "command")}
    MEASURED.write_text(json.dumps({"host": facts, "models": models}, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"written to {MEASURED} and {save('ladder', {'models': models})}")


if __name__ == "__main__":
    main()
