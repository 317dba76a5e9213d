"""Head x shots: nearest class mean, sub-prototypes, LDA and the automatic choice, closed set, with 95 % intervals.

    python -m benchmarks.heads --data FOLDER [--bundle PATH] [--episodes 60]

Every class of a set at once (at most 20), as many queries a class as are left, at most 15. "poisoned": one of 10 shots
shows another class. COIL-100's shots are views of one turntable, drawn at random.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from runtime.matching.gallery_matcher import Matchers
from runtime.matching.heads import HEADS

from benchmarks.accuracy import embed_coil, embed_folder
from benchmarks.common import save
from edgefs.cli.options import load_bundle
from edgefs.evaluation.metrics import mean_and_interval
from edgefs.reports.tables import table
from runtime.gallery import ClassShots
from runtime.model import typical_distance
from runtime.recognizer import Recognizer

SETS = {
    "coil100": "coil100",
    "grocery": "grocery/train",
    "cifar_fs_val": "cifar_fs/val",
    "office_webcam": "office_caltech10/webcam",
}
SHOTS = (1, 3, 4, 5, 10, 20)
N_WAY, N_QUERY = 20, 15
CHOICES = (*HEADS, "auto")


def episode(
    embeddings: np.ndarray, labels: np.ndarray, n_shot: int, rng: np.random.Generator, *, poisoned: bool
) -> tuple[dict[str, ClassShots], np.ndarray, np.ndarray]:
    """Draw a gallery, with queries and their classes."""
    picked = rng.permutation(np.unique(labels))[:N_WAY]
    gallery, queries, truth = {}, [], []
    for number, name in enumerate(picked):
        rows = rng.permutation(np.flatnonzero(labels == name))
        shots = rows[:n_shot].copy()
        if poisoned:
            shots[-1] = rng.choice(np.flatnonzero(labels != name))
        ids = np.arange(100 * number, 100 * number + n_shot)
        none = np.zeros((0, embeddings.shape[1]), np.float32)
        gallery[str(name)] = ClassShots(
            str(name), ids, embeddings[shots], tuple(map(str, ids)), np.ones(n_shot, np.float32), none
        )
        queries.append(embeddings[rows[n_shot : n_shot + N_QUERY]])
        truth += [number] * len(queries[-1])
    return gallery, np.concatenate(queries), np.array(truth)


def accuracies(
    data: tuple[np.ndarray, np.ndarray], n_shot: int, recognizer: Recognizer, n_episodes: int, *, poisoned: bool = False
) -> dict[str, tuple[float, float]]:
    """Per choice of head: mean accuracy over episodes, in percent, and its 95 % interval."""
    bundle = recognizer.bundle
    none, scale = np.zeros((0, bundle.dim), np.float32), typical_distance(bundle)
    found: dict[str, list[float]] = {choice: [] for choice in CHOICES}
    for seed in range(n_episodes):
        rng = np.random.default_rng(seed)
        gallery, queries, truth = episode(*data, n_shot, rng, poisoned=poisoned)
        for choice in CHOICES:
            matchers = Matchers(*(bundle.metric, bundle.dim, none), prior=None, choice=choice, scale=scale)
            head = matchers.matcher(gallery).head
            assert head
            found[choice].append(100 * float((head.scores_many(queries).argmax(axis=1) == truth).mean()))
    return {choice: mean_and_interval(values) for choice, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--episodes", type=int, default=60)
    args = parser.parse_args()
    rows, figures = [], {}
    with Recognizer(load_bundle(args.bundle), engine=args.engine) as recognizer:
        for name, folder in SETS.items():
            embeddings, labels, *_ = (embed_coil if name == "coil100" else embed_folder)(recognizer, args.data / folder)
            most = min(np.bincount(np.unique(labels, return_inverse=True)[1]))
            for n_shot, poisoned in [*((n, False) for n in SHOTS if n < most), *([(10, True)] if most > 10 else [])]:
                result = accuracies((embeddings, labels), n_shot, recognizer, args.episodes, poisoned=poisoned)
                figures[f"{name} {n_shot} shots{' poisoned' if poisoned else ''}"] = result
                best = max(result[head][0] for head in HEADS)
                cells = [f"{mean:.1f} ± {half:.1f}" for mean, half in result.values()]
                rows.append(
                    (name, f"{n_shot}{' poisoned' if poisoned else ''}", *cells, f"{result['auto'][0] - best:+.1f}")
                )
                print(*rows[-1], flush=True)
        facts = {"bundle": recognizer.bundle.name, "fingerprint": recognizer.bundle.fingerprint}
    print(table(rows, ("set", "shots", *CHOICES, "auto - best")))
    print(f"written to {save('heads', {**facts, 'episodes': args.episodes, 'figures': figures})}")


if __name__ == "__main__":
    main()
