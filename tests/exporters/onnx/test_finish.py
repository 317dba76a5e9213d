"""The last steps of an ONNX file: names that mean something, metadata, and refusals."""

import json

import pytest

pytestmark = pytest.mark.torch

pytest.importorskip("torch")
pytest.importorskip("onnx")

from torch import nn  # noqa: E402

from exporters.errors import ExportError  # noqa: E402
from exporters.onnx.graph import EmbedderGraph  # noqa: E402
from exporters.onnx.trace import to_onnx  # noqa: E402
from runtime.preprocess import Preprocess  # noqa: E402


def test_layers_are_named_after_their_module_and_nothing_of_this_machine_is_stored(tiny_onnx, onnx_of):
    model = onnx_of(tiny_onnx)
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)
    assert "network.3/Conv" in names
    assert b"exporters/onnx/graph.py" not in tiny_onnx
    assert b"site-packages" not in tiny_onnx


def test_the_metadata_state_preprocessing_metric_and_input(tiny_onnx, onnx_of, preprocess):
    model = onnx_of(tiny_onnx)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(facts["edgefs.preprocess"]) == preprocess.to_json()
    assert facts["edgefs.metric"] == "cosine"
    assert max(entry.version for entry in model.opset_import) <= 20
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param


def test_a_layer_in_training_mode_is_found():
    """A BatchNorm that uses the statistics of the batch changes a frame's embedding with the frames beside it."""
    network = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    with pytest.raises(ExportError, match=r"operator|own embedding"):
        to_onnx(EmbedderGraph(network, mean=[0.5] * 3, std=[0.25] * 3), Preprocess((8, 8)))
