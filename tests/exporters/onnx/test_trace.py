"""torch module -> ONNX: names that mean something, metadata, both exporters, and refusals that name the layer."""

import json

import pytest

pytestmark = pytest.mark.torch

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from torch import nn  # noqa: E402

from exporters.errors import ExportError  # noqa: E402
from exporters.onnx.finish import session  # noqa: E402
from exporters.onnx.graph import EmbedderGraph  # noqa: E402
from exporters.onnx.trace import to_onnx  # noqa: E402
from runtime.engines import agreement  # noqa: E402
from runtime.preprocess import Preprocess  # noqa: E402


def graph_of(network):
    return EmbedderGraph(network, mean=[0.5] * 3, std=[0.25] * 3)


def test_layers_are_named_after_their_module_and_nothing_tells_of_this_machine(tiny_onnx, onnx_of):
    model = onnx_of(tiny_onnx)
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)
    assert "network.3/Conv" in names
    assert b"exporters/onnx/graph.py" not in tiny_onnx
    assert b"site-packages" not in tiny_onnx


def test_the_file_says_what_it_is(tiny_onnx, onnx_of, preprocess):
    model = onnx_of(tiny_onnx)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(facts["edgefs.preprocess"]) == preprocess.to_json()
    assert facts["edgefs.metric"] == "cosine"
    assert max(entry.version for entry in model.opset_import) <= 20
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param


@pytest.mark.parametrize("options", [{"exporter": "legacy"}, {"slim": True}])
def test_the_legacy_exporter_and_onnxslim_give_the_same_answers(tiny_source, pictures, options):
    if "slim" in options:
        pytest.importorskip("onnxslim")
    data = to_onnx(tiny_source.graph, tiny_source.preprocess, **options)
    got = session(data).run(None, {"frames": pictures.frames})[0]
    assert agreement(got, tiny_source.embed(pictures.frames)).min() > 0.99999


class Sorts(nn.Module):
    def forward(self, x):
        return torch.sort(x.flatten(1), dim=1).values


class Counts(nn.Module):
    """Knows only batches of two, as torch traces them."""

    def forward(self, x):
        return x.reshape(2, -1)


class Branches(nn.Module):
    def forward(self, x):
        return x.flatten(1) if float(x.sum()) > 0 else -x.flatten(1)


def test_a_refused_operator_is_named_with_its_layer():
    network = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Identity(), Sorts()))
    with pytest.raises(ExportError, match=r"layer network\.1\.1/TopK is the operator TopK"):
        to_onnx(graph_of(network), Preprocess((4, 4)))


def test_a_network_that_dynamo_cannot_follow_is_refused_with_a_second_try_named():
    with pytest.raises(ExportError, match="--exporter legacy"):
        to_onnx(graph_of(Branches()), Preprocess((4, 4)))


@pytest.mark.parametrize("exporter", ["dynamo", "legacy"])
def test_a_fixed_batch_cannot_hide(exporter):
    with pytest.raises(ExportError, match=r"a batch size fixed|fixed size"):
        to_onnx(graph_of(Counts()), Preprocess((4, 4)), exporter=exporter)


def test_a_network_in_training_mode_inside_is_found():
    """A BatchNorm that insists on the batch's own statistics gives a frame another embedding in company."""
    network = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    with pytest.raises(ExportError, match=r"operator|own embedding"):
        to_onnx(graph_of(network), Preprocess((8, 8)))
