"""The first layer that differs is named, in ONNX, in OpenVINO IR and among the torch modules."""

import pytest

pytestmark = pytest.mark.torch

pytest.importorskip("torch")
pytest.importorskip("onnx")

from exporters.targets import openvino  # noqa: E402
from exporters.targets.request import Request  # noqa: E402
from exporters.verify.divergence import first_diverging_layer, first_diverging_module  # noqa: E402


def test_the_first_diverging_layer_is_named(traced, pictures, spoil):
    frame = pictures.frames[:1]
    bad = {"bad.onnx": spoil(traced.model)}
    assert first_diverging_layer(traced.model, bad, "bad.onnx", frame).startswith("network.3/Conv (cosine ")
    ir = openvino.build(bad["bad.onnx"], "fp32", Request())
    assert first_diverging_layer(traced.model, ir.files, ir.file, frame).startswith("network.3/Conv (cosine ")


def test_the_first_diverging_module_is_named_and_none_where_all_agree(traced, pictures, spoil):
    frame = pictures.frames[:1]
    layers = traced.layers(frame)
    assert first_diverging_module(spoil(traced.model), layers, frame).startswith("network.3 (cosine ")
    assert first_diverging_module(traced.model, layers, frame) is None
