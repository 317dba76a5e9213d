"""Weights stored small: what is lost, what is not, and that it can be undone."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from torch import nn  # noqa: E402

from exporters.errors import ExportError  # noqa: E402
from exporters.onnx.graph import EmbedderGraph  # noqa: E402
from exporters.onnx.trace import to_onnx  # noqa: E402
from exporters.onnx.weight_storage import quantise_per_output, round_weights, with_float_weights  # noqa: E402
from runtime.preprocess import Preprocess  # noqa: E402

pytestmark = pytest.mark.torch


def test_int8_keeps_each_output_to_half_a_step():
    values = np.random.default_rng(0).standard_normal((8, 5, 3, 3)).astype(np.float32) * 10.0 ** np.arange(-4, 4)[
        :, None, None, None
    ].astype(np.float32)
    values[0] = 0
    whole, scale = quantise_per_output(values)
    assert whole.dtype == np.int8
    assert scale.shape == (8, 1, 1, 1)
    assert (np.abs(whole * scale - values) <= 0.501 * scale).all()


def test_rounding_what_was_rounded_before_changes_nothing():
    layer = nn.Conv2d(16, 32, 3)
    round_weights(layer, "int8")
    once = layer.weight.detach().clone()
    round_weights(layer, "int8")
    np.testing.assert_allclose(layer.weight.detach(), once, rtol=1e-6)


@pytest.mark.parametrize("weights", ["fp16", "int8"])
def test_stored_weights_are_restored_as_plain_initialisers(weights):
    network = nn.Sequential(nn.Conv2d(3, 40, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(40, 20))
    model = to_onnx(EmbedderGraph(network, mean=[0.5] * 3, std=[0.5] * 3), Preprocess((16, 16)), weights=weights)
    plain = with_float_weights(onnx.load_from_string(model))
    found = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in plain.graph.initializer}
    assert "DequantizeLinear" not in {node.op_type for node in plain.graph.node}
    np.testing.assert_allclose(found["network.0.weight"], network[0].weight.detach(), rtol=1e-5)
    np.testing.assert_allclose(found["network.4.weight"], network[4].weight.detach(), rtol=1e-5)


def test_an_unknown_storage_is_refused_with_the_known_ones():
    with pytest.raises(ExportError, match=r"one of fp32, fp16, int8, but got 'int4'"):
        round_weights(nn.Linear(2, 2), "int4")
