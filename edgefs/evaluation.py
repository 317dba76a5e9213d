"""N-way K-shot accuracy with a 95 % interval, from embeddings computed once.

E: episodes.  W: n_way.  S: n_shot.  Q: n_query.  D: embedding size.

Every image is embedded once, not once per episode; all episodes are then drawn and scored in a few array operations.

Heads (Wang et al. 2019, "SimpleShot", arXiv:1911.04623), all nearest class mean: UN on the features as they are, L2N on
unit features, CL2N on features centred by the base classes' mean and then made unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgefs.errors import DataError

if TYPE_CHECKING:
    from edgefs.data import ImageSet
    from edgefs.training.checkpoint import Checkpoint
    from runtime.engines import EngineInfo

EMBED_AT_ONCE = 64  # images handed to an engine
EPISODES_AT_ONCE = 100  # bounds memory: 100 x 20-way x 15 queries x 512 floats = 60 MB


@dataclass(frozen=True)
class Accuracy:
    """mean, interval: in percent; the true mean lies within ± interval with 95 % confidence over episodes."""

    mean: float
    interval: float
    n_way: int
    n_shot: int
    n_query: int
    n_episodes: int

    def __str__(self) -> str:
        return f"{self.n_way}-way {self.n_shot}-shot {self.mean:.2f} ± {self.interval:.2f} %"


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` measured.  accuracies: (head, Accuracy) pairs; head "trained": the method's own.

    engine: what embedded the images, None for a checkpoint (torch).  images, classes: of the split, turns included.
    """

    accuracies: tuple[tuple[str, Accuracy], ...]
    images: int
    classes: int
    engine: EngineInfo | None
    skipped: tuple[str, ...]


def evaluate(
    source: str | Path,
    *,
    data: str,
    root: str | Path,
    split: str = "test",
    ways: Sequence[int] = (5,),
    shots: Sequence[int] = (1, 5),
    n_query: int = 15,
    n_episodes: int = 600,
    rotations: int | None = None,
    seed: int = 0,
    engine: str = "auto",
    threads: int | None = None,
    variant: str = "lake",
    bad_files: str = "fail",
    download: bool = False,
) -> Evaluation:
    """Few-shot accuracy of a checkpoint (.safetensors), or of a bundle through any engine, on a named image set.

    Every image is embedded once. Heads: the trained one, UN, L2N, and CL2N where a base mean is known.
    rotations: quarter turns as classes of their own; default the set's own habit (4 for Omniglot).
    """
    from edgefs.data import load, spec_of

    rotations = rotations or spec_of(data).rotations
    options: dict[str, Any] = {"variant": variant} if data == "omniglot" else {}
    known: Any = _open_checkpoint(source) if str(source).endswith(".safetensors") else _Engine(source, engine, threads)
    images = load(data, root, split, preprocess=known.preprocess, policy=bad_files, download=download, **options)
    features, labels, base_mean = known.embed(images, rotations)
    episodes: dict[str, Any] = {"n_query": n_query, "n_episodes": n_episodes, "seed": seed}
    found = []
    for n_way in ways:
        for n_shot in shots:
            shape = {"n_way": n_way, "n_shot": n_shot, **episodes}
            trained = known.trained(images, features, labels, rotations, shape)
            found += [("trained", trained)] if trained else []
            for head, values in head_features(features, base_mean).items():
                found.append((head, few_shot_accuracy(values, labels, metric="euclidean", **shape)))
    return Evaluation(tuple(found), len(labels), len(images.classes) * rotations, known.engine, images.skipped)


def sample_episodes(
    labels: NDArray[np.int64], *, n_way: int, n_shot: int, n_query: int, n_episodes: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw row indices without replacement: support `[E, W, S]` and query `[E, W, Q]`, class i of an episode in row i.

    labels: `int [N]`.  Raises DataError when there are too few classes or too few rows in one.
    """
    classes, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(classes) < n_way or counts.min() < n_shot + n_query:
        raise DataError(
            f"{n_way}-way {n_shot}-shot with {n_query} queries needs {n_way} classes of {n_shot + n_query} images, but "
            f"there are {len(classes)} classes, the smallest with {counts.min()} images; ask for less"
        )
    table = np.zeros((len(classes), counts.max()), np.int64)  # rows of each class, padded
    order = np.argsort(inverse, kind="stable")
    padded = np.arange(counts.max()) < counts[:, None]
    table[padded] = order
    chosen = np.argsort(rng.random((n_episodes, len(classes)), np.float32), axis=1)[:, :n_way]
    keys = rng.random((n_episodes, n_way, table.shape[1]), np.float32)
    keys[~padded[chosen]] = 2.0  # never drawn
    picks = np.argsort(keys, axis=2)[..., : n_shot + n_query]
    rows = np.take_along_axis(table[chosen], picks, axis=2)
    return rows[..., :n_shot], rows[..., n_shot:]


def few_shot_accuracy(
    embeddings: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    n_way: int = 5,
    n_shot: int = 5,
    n_query: int = 15,
    n_episodes: int = 600,
    metric: str = "cosine",
    seed: int = 0,
) -> Accuracy:
    """Nearest-class-mean accuracy (arXiv:1703.05175) of embeddings `float32 [N, D]` with labels `int [N]`.

    metric: "cosine" or "euclidean", between a query and the mean of a class's shots.
    """
    rng = np.random.default_rng(seed)
    hits = []
    for start in range(0, n_episodes, EPISODES_AT_ONCE):
        some = min(EPISODES_AT_ONCE, n_episodes - start)
        support, query = sample_episodes(labels, n_way=n_way, n_shot=n_shot, n_query=n_query, n_episodes=some, rng=rng)
        prototypes = embeddings[support].mean(axis=2)  # [E, W, D]
        queries = embeddings[query].reshape(some, n_way * n_query, -1)
        scores = queries @ prototypes.transpose(0, 2, 1)  # [E, W * Q, W]
        if metric == "cosine":
            scores /= np.linalg.norm(prototypes, axis=2)[:, None]
        else:  # |q - p|² without |q|², which is the same for every class
            scores -= (prototypes**2).sum(axis=2)[:, None] / 2
        right = scores.argmax(axis=2).reshape(some, n_way, n_query) == np.arange(n_way)[:, None]
        hits.append(right.mean(axis=(1, 2)))
    return Accuracy(*mean_and_interval(100 * np.concatenate(hits)), n_way, n_shot, n_query, n_episodes)


def mean_and_interval(values: ArrayLike) -> tuple[float, float]:
    """The mean of values `[N]`, and half the width of its 95 % interval: 1.96 standard errors, so for large N.

    0 for a single value, of which nothing is known.
    """
    values = np.asarray(values, np.float64)
    spread = values.std(ddof=1) if len(values) > 1 else 0.0
    return float(values.mean()), float(1.96 * spread / np.sqrt(len(values)))


def head_features(
    embeddings: NDArray[np.float32], base_mean: NDArray[np.float32] | None
) -> dict[str, NDArray[np.float32]]:
    """The features each SimpleShot head compares by Euclidean distance; CL2N only with a base mean `float32 [D]`."""
    heads = {"UN": embeddings, "L2N": _unit(embeddings)}
    if base_mean is not None:
        heads["CL2N"] = _unit(embeddings - base_mean)
    return heads


def _unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)  # type: ignore[no-any-return]


class _Network:
    """A checkpoint, embedding with torch."""

    engine = None

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.preprocess = checkpoint.spec.preprocess

    def embed(
        self, images: ImageSet, rotations: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32] | None]:
        from edgefs.training.embedder import embed_images

        checkpoint = self.checkpoint
        features, labels = embed_images(checkpoint.method.backbone, images, checkpoint.spec, rotations=rotations)
        return features, labels, None if checkpoint.base_mean is None else checkpoint.base_mean.numpy()

    def trained(
        self,
        images: ImageSet,
        features: NDArray[np.float32],
        labels: NDArray[np.int64],
        rotations: int,
        shape: dict[str, Any],
    ) -> Accuracy | None:
        """The method's own head: for one that adapts, only in the number of ways it was trained for."""
        from edgefs.data.episodes import EpisodeSampler, EpisodeShape
        from edgefs.data.tasks import TaskLoader
        from edgefs.training.validation import adapted_accuracy

        method, config, spec = self.checkpoint.method, self.checkpoint.config, self.checkpoint.spec
        if method.metric is not None:
            return few_shot_accuracy(features, labels, metric=method.metric, **shape)
        if getattr(config, "fixed_way", True) and shape["n_way"] != getattr(config, "n_way", None):
            return None  # nor has a fine-tuned classifier episodes
        sampler = EpisodeSampler(
            images.labels,
            EpisodeShape(shape["n_way"], shape["n_shot"], shape["n_query"]),
            seed=shape["seed"],
            rotations=rotations,
        )
        return adapted_accuracy(method, sampler, TaskLoader(images, spec), shape["n_episodes"])


class _Engine:
    """A bundle, embedding with one of the device's engines. Its base mean, if any, is inside the graph."""

    def __init__(self, source: str | Path, engine: str, threads: int | None) -> None:
        from runtime.bundle import Bundle
        from runtime.engines import open_engine

        self.bundle = Bundle.load(source)
        self.preprocess = self.bundle.preprocess
        self._engine = open_engine(self.bundle, engine, threads=threads)
        self.engine = self._engine.info

    def embed(self, images: ImageSet, rotations: int) -> tuple[NDArray[np.float32], NDArray[np.int64], None]:
        batches, labels = [], []
        for turn in range(rotations):
            for start in range(0, len(images), EMBED_AT_ONCE):
                pixels = np.rot90(images.images[start : start + EMBED_AT_ONCE], turn, axes=(1, 2))
                batches.append(self._engine.embed(np.ascontiguousarray(pixels)))
            labels.append(images.labels * rotations + turn)
        self._engine.close()
        return np.concatenate(batches), np.concatenate(labels), None

    def trained(
        self,
        images: ImageSet,
        features: NDArray[np.float32],
        labels: NDArray[np.int64],
        rotations: int,
        shape: dict[str, Any],
    ) -> Accuracy:
        del images, rotations  # for networks that adapt
        return few_shot_accuracy(features, labels, metric=self.bundle.metric, **shape)


def _open_checkpoint(source: str | Path) -> _Network:
    import os

    from edgefs.training.allocator import keep_pages
    from edgefs.training.checkpoint import load_checkpoint

    keep_pages()
    return _Network(load_checkpoint(source, workers=len(os.sched_getaffinity(0))))
