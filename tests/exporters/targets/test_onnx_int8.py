"""Static quantisation by ONNX Runtime: types of activations, and a model that it cannot quantise."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from exporters import ExportError  # noqa: E402
from exporters.targets.onnx_int8 import quantise  # noqa: E402


@pytest.mark.parametrize(("activations", "dtype"), [("QUInt8", np.uint8), ("QInt8", np.int8)])
def test_activations_have_the_type_that_was_asked_for(tiny, patterns, activations, dtype):
    made = quantise(tiny.model(), patterns, activations=activations)
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    quantisers = [node for node in made.graph.node if node.op_type == "QuantizeLinear" and node.input[0] not in values]
    assert quantisers
    assert {values[node.input[2]].dtype for node in quantisers} == {np.dtype(dtype)}


def test_a_model_that_cannot_run_is_refused(tiny, patterns):
    with pytest.raises(ExportError, match="ONNX Runtime cannot quantise this network"):
        quantise(tiny.model(), patterns[:, :7], activations="QUInt8")
