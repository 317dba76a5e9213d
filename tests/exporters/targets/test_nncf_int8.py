"""int8 for OpenVINO: a second attempt keeps the layers in float32 that lose most, and its time is bounded."""

import io

import pytest

pytestmark = pytest.mark.torch

openvino = pytest.importorskip("openvino")
nncf = pytest.importorskip("nncf")
pytest.importorskip("torch")

from exporters.targets import nncf_int8  # noqa: E402
from exporters.targets.nncf_int8 import quantised, quantised_except_worst  # noqa: E402
from runtime.engines import agreement  # noqa: E402


@pytest.fixture
def network(tiny_onnx):
    return openvino.Core().read_model(io.BytesIO(tiny_onnx))


def embed(network, frames):
    return openvino.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(frames)[0]


def quantisers(network):
    """Names of the layers whose weights went through a quantiser."""
    layers = [op for op in network.get_ops() if op.get_type_name() in nncf_int8.HEAVY]
    return {op.get_friendly_name() for op in layers if any(_quantised_input(op, i) for i in (0, 1))}


def _quantised_input(op, i):
    return op.input_value(i).get_node().get_type_name() == "FakeQuantize"


def test_every_heavy_layer_is_quantised_unless_it_is_spared(network, pictures):
    names = quantisers(quantised(network, pictures.frames))
    assert len(names) >= 2
    assert quantisers(network) == set(), "the float32 model stays as it is"
    spared = sorted(names)[0]
    assert quantisers(quantised(network, pictures.frames, spare=[spared])) == names - {spared}


def test_the_layer_that_loses_most_is_the_first_kept_in_float32(network, pictures, monkeypatch):
    """One layer is made much coarser than the others."""
    worst = nncf_int8._by_loss(network, quantised(network, pictures.frames), pictures.frames[:4])
    assert len(worst) == 3
    spoilt = quantised(network, pictures.frames)
    victim = worst[-1]
    _coarsen(spoilt, victim)
    assert nncf_int8._by_loss(network, spoilt, pictures.frames[:4])[0] == victim


def _coarsen(network, name):
    """Give the inputs of a layer two levels instead of 256."""
    op = next(op for op in network.get_ops() if op.get_friendly_name() == name)
    for i in (0, 1):
        node = op.input_value(i).get_node()
        if node.get_type_name() == "FakeQuantize":
            limits = [node.input_value(k) for k in range(1, 5)]
            coarse = openvino.opset13.fake_quantize(node.input_value(0), *limits, 2)
            op.input(i).replace_source_output(coarse.output(0))


def test_a_second_attempt_is_at_most_two_more_quantisations_and_says_what_it_did(network, pictures, monkeypatch):
    tried = []

    def counting(network, frames, *, spare=(), count):
        tried.append(list(spare))
        return quantised(network, frames, spare=spare, count=count)

    monkeypatch.setattr(nncf_int8, "quantised", counting)
    monkeypatch.setattr(nncf_int8, "MAX_DROP", -1.0)  # nothing is good enough
    made, remark = quantised_except_worst(network, pictures.frames)
    assert [len(spare) for spare in tried] == [0, 1, 1]
    assert remark.startswith("1 of 3 layers kept in float32, mean cosine ")
    assert agreement(embed(made, pictures.frames), embed(network, pictures.frames)).min() > 0.9
    monkeypatch.setattr(nncf_int8, "MAX_DROP", 1.0)  # anything is
    tried.clear()
    quantised_except_worst(network, pictures.frames)
    assert len(tried) == 2
