"""A torch module becomes a bundle that a device accepts, and answers as torch does."""

import numpy as np
import pytest

from runtime.engines import agreement, open_engine
from runtime.errors import EdgefsError
from runtime.preprocess import Preprocess

pytestmark = pytest.mark.torch

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from exporters.errors import ExportError  # noqa: E402
from exporters.onnx.graph import EmbedderGraph  # noqa: E402
from exporters.onnx.trace import to_onnx  # noqa: E402
from exporters.pack import pack  # noqa: E402


def network(channels: int = 3, dim: int = 16) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, stride=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, dim),
    )


def frames(preprocess: Preprocess, n: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, *preprocess.shape), np.uint8)


@pytest.mark.parametrize(("colour", "channels"), [("rgb", 3), ("bgr", 3), ("grey", 1)])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("weights", ["fp32", "fp16", "int8"])
def test_a_packed_module_answers_on_the_device_as_in_torch(colour, channels, metric, weights):
    preprocess = Preprocess((24, 20), channels=channels)
    graph = EmbedderGraph(
        network(channels),
        mean=[0.4] * channels,
        std=[0.2] * channels,
        colour=colour,
        metric=metric,
        base_mean=torch.full((16,), 0.1),
    )
    golden = frames(preprocess)
    bundle = pack(graph, preprocess, name="x", description="x", golden_frames=golden, weights=weights)
    more = frames(preprocess, 5)
    with torch.inference_mode():
        expected = graph(torch.from_numpy(more)).numpy()
    for name in ("onnxruntime", "openvino"):
        engine = open_engine(bundle, name)
        assert agreement(engine.embed(more), expected).min() > 0.99999
        engine.close()
    if metric == "cosine":
        np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(("weights", "share"), [("fp16", 0.55), ("int8", 0.3)])
def test_weights_stored_smaller_make_a_smaller_file(weights, share):
    preprocess = Preprocess((24, 24))
    large = nn.Sequential(nn.Flatten(), nn.Linear(24 * 24 * 3, 64))
    graph = EmbedderGraph(large, mean=[0] * 3, std=[1] * 3)
    whole = len(to_onnx(graph, preprocess))
    assert len(to_onnx(graph, preprocess, weights=weights)) < share * whole


def test_an_operator_the_device_refuses_is_named_at_export():
    class Sorts(nn.Module):
        def forward(self, x):
            return torch.sort(x.flatten(1), dim=1).values

    graph = EmbedderGraph(Sorts(), mean=[0] * 3, std=[1] * 3)
    with pytest.raises(ExportError, match=r"Sorts.*operator TopK"):
        to_onnx(graph, Preprocess((4, 4)))


def test_nan_weights_are_refused_at_export():
    net = network()
    net[0].weight.data[0, 0, 0, 0] = float("nan")
    with pytest.raises(EdgefsError, match="NaN"):
        to_onnx(EmbedderGraph(net, mean=[0] * 3, std=[1] * 3), Preprocess((24, 24)))
