"""Torch modules become ONNX files with both of torch's exporters; refusals name the layer."""

import pytest

pytestmark = pytest.mark.torch

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from torch import nn  # noqa: E402

from exporters.errors import ExportError  # noqa: E402
from exporters.onnx.graph import EmbedderGraph  # noqa: E402
from exporters.onnx.session import open_session  # noqa: E402
from exporters.onnx.trace import to_onnx  # noqa: E402
from runtime.engines import agreement  # noqa: E402
from runtime.preprocess import Preprocess  # noqa: E402


def graph_of(network):
    return EmbedderGraph(network, mean=[0.5] * 3, std=[0.25] * 3)


@pytest.mark.parametrize("options", [{"exporter": "legacy"}, {"slim": True}])
def test_the_legacy_exporter_and_onnxslim_give_the_same_answers(tiny_source, pictures, options):
    if "slim" in options:
        pytest.importorskip("onnxslim")
    data = to_onnx(tiny_source.graph, tiny_source.preprocess, **options)
    got = open_session(data).run(None, {"frames": pictures.frames})[0]
    assert agreement(got, tiny_source.embed(pictures.frames)).min() > 0.99999


class Sorts(nn.Module):
    def forward(self, x):
        return torch.sort(x.flatten(1), dim=1).values


class Counts(nn.Module):
    """Accepts only the batch of two that torch traces with."""

    def forward(self, x):
        return x.reshape(2, -1)


class Branches(nn.Module):
    def forward(self, x):
        return x.flatten(1) if float(x.sum()) > 0 else -x.flatten(1)


def test_a_refused_operator_is_named_with_its_layer():
    network = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Identity(), Sorts()))
    with pytest.raises(ExportError, match=r"layer network\.1\.1/TopK is the operator TopK"):
        to_onnx(graph_of(network), Preprocess((4, 4)))


def test_a_network_that_dynamo_cannot_follow_is_refused_and_the_other_exporter_is_named():
    with pytest.raises(ExportError, match="--exporter legacy"):
        to_onnx(graph_of(Branches()), Preprocess((4, 4)))


@pytest.mark.parametrize("exporter", ["dynamo", "legacy"])
def test_a_fixed_batch_size_is_found(exporter):
    with pytest.raises(ExportError, match=r"a batch size fixed|fixed size"):
        to_onnx(graph_of(Counts()), Preprocess((4, 4)), exporter=exporter)
