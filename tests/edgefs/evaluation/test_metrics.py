"""Few-shot accuracy against a loop over single episodes; intervals against their definitions."""

import numpy as np
import pytest

from edgefs.data.episodes import EpisodeSampler, EpisodeShape
from edgefs.errors import DataError
from edgefs.evaluation.metrics import few_shot_accuracy, head_features, mean_and_interval, wilson

LABELS = np.repeat(np.arange(12), 9)
EMBEDDINGS = np.random.default_rng(0).normal(size=(108, 16)).astype(np.float32) + np.eye(16, dtype=np.float32)[LABELS]
SHAPE = {"n_way": 4, "n_shot": 2, "n_query": 3}


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_accuracy_is_that_of_a_loop_over_single_episodes(metric):
    support, query = EpisodeSampler(LABELS, EpisodeShape(**SHAPE)).sample(50, np.random.default_rng(3))
    right = []
    for episode_support, episode_query in zip(support, query, strict=True):
        means = EMBEDDINGS[episode_support].mean(axis=1)
        for way, rows in enumerate(episode_query):
            for z in EMBEDDINGS[rows]:
                scores = (
                    -np.linalg.norm(means - z, axis=1)
                    if metric == "euclidean"
                    else means @ z / np.linalg.norm(means, axis=1)
                )
                right.append(scores.argmax() == way)
    found = few_shot_accuracy(EMBEDDINGS, LABELS, **SHAPE, n_episodes=50, metric=metric, seed=3)
    assert found.mean == pytest.approx(100 * np.mean(right))


def test_too_few_classes_or_images_are_named_with_the_option_that_helps():
    with pytest.raises(DataError, match="20 classes, but there are 12"):
        few_shot_accuracy(EMBEDDINGS, LABELS, n_way=20, n_shot=1, n_query=1)
    with pytest.raises(DataError, match="--n-query"):
        few_shot_accuracy(EMBEDDINGS, LABELS, n_way=2, n_shot=1, n_query=15)


def test_intervals_follow_their_definitions():
    assert mean_and_interval([1.0, 2.0, 3.0]) == (2.0, pytest.approx(1.96 / 3**0.5))
    assert mean_and_interval([5.0]) == (5.0, 0.0)
    assert wilson(0, 0) == (0.0, 1.0)
    low, high = wilson(45, 50)
    assert (low, high) == (pytest.approx(0.7864, abs=1e-3), pytest.approx(0.9565, abs=1e-3))


def test_heads_normalise_and_centre():
    mean = EMBEDDINGS.mean(axis=0)
    heads = head_features(EMBEDDINGS, mean)
    assert list(heads) == ["UN", "L2N", "CL2N"]
    assert np.linalg.norm(heads["CL2N"], axis=1) == pytest.approx(1, abs=1e-5)
    assert list(head_features(EMBEDDINGS, None)) == ["UN", "L2N"]
