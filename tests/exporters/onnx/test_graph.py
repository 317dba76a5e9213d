"""What is part of the traced graph: colour order, normalisation and the metric's last step."""

import numpy as np
import pytest

pytestmark = pytest.mark.torch

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from exporters.onnx.graph import EmbedderGraph  # noqa: E402
from exporters.onnx.tail import apply_metric  # noqa: E402


def test_bgr_frames_reach_an_rgb_network_as_rgb():
    class Channels(nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

    graph = EmbedderGraph(Channels(), mean=[0, 0, 0], std=[1, 1, 1], metric="euclidean")
    blue = torch.zeros((1, 4, 4, 3), dtype=torch.uint8)
    blue[..., 0] = 255
    np.testing.assert_allclose(graph(blue).numpy(), [[0, 0, 1]])


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_last_step_of_the_metric_is_that_of_numpy(metric):
    base_mean = torch.arange(3.0)
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    graph = EmbedderGraph(network, mean=[0.4] * 3, std=[0.2] * 3, metric=metric, base_mean=base_mean)
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8))
    features = graph.features(frames).numpy()
    np.testing.assert_allclose(graph(frames), apply_metric(features, metric, base_mean.numpy()), rtol=1e-5)
