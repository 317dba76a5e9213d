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
from numpy.typing import NDArray

from edgefs.evaluation.metrics import Accuracy, few_shot_accuracy, head_features

if TYPE_CHECKING:
    from edgefs.data import ImageSet
    from edgefs.training.checkpoint import Checkpoint
    from runtime.engines import EngineInfo

EMBED_AT_ONCE = 64  # images handed to an engine


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


class _Network:
    """A checkpoint, embedding with torch."""

    engine = None

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.preprocess = checkpoint.spec.preprocess

    def embed(
        self, images: ImageSet, rotations: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32] | None]:
        from edgefs.networks.embedder import embed_images

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
        from edgefs.evaluation.validation import adapted_accuracy

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
