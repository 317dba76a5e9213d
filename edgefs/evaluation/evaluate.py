"""Few-shot accuracy of a checkpoint or of a bundle on a named image set.

Every image is embedded once, not once per episode.

Heads (Wang et al. 2019, "SimpleShot", arXiv:1911.04623), all nearest class mean: UN on the features as they are, L2N on
unit features, CL2N on features minus the mean of the base classes, then made unit.
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
    from runtime.engines import EngineInfo

EMBED_AT_ONCE = 64  # images handed to an engine
Embedded = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` measured.

    Attributes:
        accuracies: Pairs of a head and its accuracy; the head "trained" is the method's own.
        images: How many images were embedded, quarter turns included.
        classes: How many classes there were, quarter turns included.
        engine: What embedded the images; None for a checkpoint, which torch embeds.
        skipped: Unreadable files that were left out.
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
    device: str | None = None,
    variant: str = "lake",
    bad_files: str = "fail",
    download: bool = False,
) -> Evaluation:
    """Few-shot accuracy with its 95 % interval, by the trained head and by SimpleShot's.

    Args:
        source: Checkpoint (.safetensors), bundle directory or bundle .zip.
        data: Name of an image set, see `edgefs.data.DATA`.
        root: Folder the data lies in.
        split: "train", "val", "test", or "all" for a folder.
        ways: Numbers of classes in an episode.
        shots: Numbers of support images of each class.
        n_query: Query images of each class.
        n_episodes: Episodes that the mean is taken over.
        rotations: Quarter turns that count as classes; None: the set's own (4 for Omniglot).
        engine: Engine of a bundle.
        threads: CPU threads of the engine.
        device: The device that OpenVINO runs on, as in `Recognizer`.
        variant: Split of Omniglot.
        bad_files: "fail" or "skip" unreadable pictures.
        download: Fetch the data if its authors host it.

    Raises:
        DataError: The data is missing, or has too few classes or images for the episodes.
        CheckpointError: The checkpoint cannot be read; BundleError: the bundle cannot.
    """
    from edgefs.data import load, spec_of

    rotations = rotations or spec_of(data).rotations
    options: dict[str, Any] = {"variant": variant} if data == "omniglot" else {}
    known: Any = _Network(source) if str(source).endswith(".safetensors") else _Bundle(source, engine, threads, device)
    images = load(data, root, split, preprocess=known.preprocess, policy=bad_files, download=download, **options)
    features, labels = known.embed(images, rotations)
    found = []
    for n_way in ways:
        for n_shot in shots:
            shape = {"n_way": n_way, "n_shot": n_shot, "n_query": n_query, "n_episodes": n_episodes, "seed": seed}
            if known.metric is not None:
                found.append(("trained", few_shot_accuracy(features, labels, metric=known.metric, **shape)))
            elif known.adapts_to(n_way):
                found.append(("trained", known.adapted(images, rotations, **shape)))
            for head, values in head_features(features, known.base_mean).items():
                found.append((head, few_shot_accuracy(values, labels, metric="euclidean", **shape)))
    return Evaluation(tuple(found), len(labels), len(images.classes) * rotations, known.engine, images.skipped)


class _Network:
    """A checkpoint, which torch embeds with."""

    engine = None

    def __init__(self, source: str | Path) -> None:
        from edgefs.checkpoint import load_checkpoint
        from edgefs.networks.allocator import keep_pages
        from runtime.engines.base import cpus

        keep_pages()
        checkpoint = load_checkpoint(source, workers=cpus())
        self.method, self.config, self.spec = checkpoint.method, checkpoint.config, checkpoint.spec
        self.metric, self.preprocess = checkpoint.method.metric, checkpoint.spec.preprocess
        self.base_mean = None if checkpoint.base_mean is None else checkpoint.base_mean.numpy()

    def embed(self, images: ImageSet, rotations: int) -> Embedded:
        from edgefs.networks.embedder import embed_images

        return embed_images(self.method.backbone, images, self.spec, rotations=rotations)  # type: ignore[no-any-return]

    def adapts_to(self, n_way: int) -> bool:
        """Whether the method adapts to episodes of so many classes; a fine-tuned classifier adapts to none."""
        return not getattr(self.config, "fixed_way", True) or n_way == getattr(self.config, "n_way", None)

    def adapted(
        self, images: ImageSet, rotations: int, *, n_way: int, n_shot: int, n_query: int, n_episodes: int, seed: int
    ) -> Accuracy:
        from edgefs.data.episodes import EpisodeSampler, EpisodeShape
        from edgefs.data.tasks import TaskLoader
        from edgefs.evaluation.validation import adapted_accuracy

        shape = EpisodeShape(n_way, n_shot, n_query)
        sampler = EpisodeSampler(images.labels, shape, seed=seed, rotations=rotations)
        return adapted_accuracy(self.method, sampler, TaskLoader(images, self.spec), n_episodes)


class _Bundle:
    """A bundle, which one of the device's engines embeds with. Its base mean, if any, is inside the graph."""

    base_mean = None

    def __init__(self, source: str | Path, engine: str, threads: int | None, device: str | None) -> None:
        from runtime.bundle import Bundle
        from runtime.engines import open_engine

        bundle = Bundle.load(source)
        self.preprocess, self.metric = bundle.preprocess, bundle.metric
        self._engine = open_engine(bundle, engine, threads=threads, device=device)
        self.engine = self._engine.info

    def embed(self, images: ImageSet, rotations: int) -> Embedded:
        try:
            return images.embedded(self._engine.embed, at_once=EMBED_AT_ONCE, rotations=rotations)
        finally:
            self._engine.close()
