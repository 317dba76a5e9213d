"""Layers whose numbers float16 cannot hold are found in float32, named, and kept in float32."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

pytest.importorskip("onnxruntime")

from exporters.onnx.activation_ranges import nodes_beside, too_large
from exporters.onnx.float16 import name_nodes, to_half
from exporters.targets.typed_model import typed_model
from runtime.engines import agreement

LARGE = 1e5  # activations of the tiny network reach about 20


@pytest.fixture
def overflowing(tiny):
    """The tiny network with numbers beyond float16 between its convolution and its pooling, and the same embeddings."""
    proto = tiny.model()
    proto.graph.initializer.append(numpy_helper.from_array(np.float32(LARGE), "up"))
    proto.graph.initializer.append(numpy_helper.from_array(np.float32(1 / LARGE), "down"))
    relu = next(i for i, node in enumerate(proto.graph.node) if node.op_type == "Relu")
    proto.graph.node[relu].input[0] = "large"
    proto.graph.node[relu].output[0] = "large.active"
    proto.graph.node.insert(relu, helper.make_node("Mul", ["maps", "up"], ["large"], "planted"))
    proto.graph.node.insert(relu + 2, helper.make_node("Mul", ["large.active", "down"], ["active"], "undone"))
    name_nodes(proto.graph)
    return proto


def embed_in_float16(data, frames):
    """Compute float16 as a GPU does, where ONNX Runtime's CPU kernels would compute float32."""
    with np.errstate(all="ignore"):
        return ReferenceEvaluator(onnx.load_from_string(data)).run(None, {"frames": frames})[0].astype(np.float32)


def test_the_tensors_that_are_too_large_are_found(overflowing, tiny, patterns):
    found = too_large(overflowing, patterns)
    assert set(found) == {"large", "large.active"}
    assert all(value > 1e5 for value in found.values())
    assert too_large(tiny.model(), patterns) == {}
    beside = nodes_beside(overflowing.graph, found)
    assert {name.partition("_")[0] for name in beside} == {"planted", "Relu", "undone"}


def test_a_planted_overflow_is_named_and_kept_in_float32(overflowing, tiny, patterns):
    frames, model = patterns[:4], overflowing.SerializeToString()
    expected = tiny.reference(tiny.model(), frames)
    assert not np.isfinite(embed_in_float16(to_half(model), frames)).all(), "without the ranges it overflows"
    typed = typed_model(model, "fp16", patterns)
    assert agreement(embed_in_float16(typed.data, frames), expected).min() > 0.999
    assert "planted reaches" in typed.remark
    assert "float16 ends at 65504" in typed.remark
    kinds = {tensor.name: tensor.data_type for tensor in onnx.load_from_string(typed.data).graph.initializer}
    assert (kinds["up"], kinds["kernel.half"]) == (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    assert typed_model(tiny.model().SerializeToString(), "fp16", patterns).remark == ""
