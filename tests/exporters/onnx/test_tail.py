"""The metric's last step in numpy."""

import numpy as np

from exporters.onnx.tail import apply_metric


def test_cosine_centres_and_normalises_and_euclidean_changes_nothing():
    features = np.array([[3, 4], [0, 0]], np.float32)
    np.testing.assert_allclose(apply_metric(features, "cosine"), [[0.6, 0.8], [0, 0]], rtol=1e-6)
    np.testing.assert_allclose(apply_metric(features, "cosine", np.array([3, 3], np.float32))[0], [0, 1])
    assert apply_metric(features, "euclidean", np.ones(2, np.float32)) is features
