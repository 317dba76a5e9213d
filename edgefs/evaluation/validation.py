"""Accuracy of a meta-learning method on episodes of validation classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgefs.data.episodes import EpisodeSampler
from edgefs.data.tasks import TaskLoader
from edgefs.evaluation.metrics import Accuracy, few_shot_accuracy, mean_and_interval
from edgefs.methods import TrainConfig
from edgefs.networks.embedder import embed_images

VAL_SEED = 1  # other episodes than those of training, and the same every time
VAL_TASKS = 8  # validated at once, by methods that adapt


def validation_accuracy(
    method: Any, config: TrainConfig, sampler: EpisodeSampler, loader: TaskLoader, device: str
) -> Accuracy:
    """The accuracy over config.val_episodes of the loader's images."""
    if method.metric is None:
        return adapted_accuracy(method, sampler, loader, config.val_episodes)
    features, labels = embed_images(
        method.backbone, loader.images, loader.spec, rotations=sampler.rotations, bf16=bool(config.bf16), device=device
    )
    return few_shot_accuracy(
        features, labels, n_way=config.val_way, n_shot=config.val_shot, n_query=config.val_query,
        n_episodes=config.val_episodes, metric=method.metric, seed=VAL_SEED,
    )  # fmt: skip


def adapted_accuracy(method: Any, sampler: EpisodeSampler, loader: TaskLoader, n_episodes: int) -> Accuracy:
    """The accuracy of a method that adapts to every episode, over n_episodes of them."""
    batches = (sampler.batch(first, min(VAL_TASKS, n_episodes - first)) for first in range(0, n_episodes, VAL_TASKS))
    percents = 100 * np.concatenate([method.accuracies(loader(batch)) for batch in batches])
    shape = sampler.shape
    return Accuracy(*mean_and_interval(percents), shape.n_way, shape.n_shot, shape.n_query, n_episodes)
