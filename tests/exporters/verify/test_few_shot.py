"""The paired comparison: no difference where there is none, and a sharp one where there is."""

import numpy as np
import pytest

pytestmark = pytest.mark.torch

from exporters.verify.few_shot import neighbour_agreement, paired_accuracy  # noqa: E402


@pytest.fixture
def material():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(12), 8)
    z = rng.standard_normal((12, 16))[labels] + 0.8 * rng.standard_normal((96, 16))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    return z.astype(np.float32), labels


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_same_embeddings_differ_by_exactly_nothing(material, metric):
    z, labels = material
    paired = paired_accuracy(z, z.copy(), labels, metric=metric, n_shot=1)
    assert paired.difference == 0 == paired.difference_interval
    assert 20 < paired.accuracy == paired.reference <= 100
    assert neighbour_agreement(z, z, metric) == 1


def test_a_worse_embedding_loses_and_the_interval_says_so(material):
    z, labels = material
    noise = np.random.default_rng(1).standard_normal(z.shape).astype(np.float32)
    worse = z + 0.3 * noise
    worse /= np.linalg.norm(worse, axis=1, keepdims=True)
    paired = paired_accuracy(z, worse, labels, metric="cosine", n_shot=5)
    assert paired.difference + paired.difference_interval < 0
    assert paired.n_query == 3
    assert neighbour_agreement(z, worse, "cosine") < 0.9


def test_shots_give_way_where_classes_are_small(material):
    z, labels = material
    few = np.concatenate([np.flatnonzero(labels == label)[:5] for label in range(12)])
    paired = paired_accuracy(z[few], z[few], labels[few], metric="cosine", n_shot=5)
    assert (paired.n_shot, paired.n_query) == (4, 1)
    assert paired_accuracy(z[:8], z[:8], labels[:8], metric="cosine", n_shot=1) is None
