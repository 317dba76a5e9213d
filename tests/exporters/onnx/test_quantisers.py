"""A file that somebody quantised computes the same without quantisers, and every precision of TensorRT takes it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("onnxruntime")

from exporters.errors import ExportError
from exporters.onnx.float16 import to_half
from exporters.onnx.quantisers import has_quantisers, without_quantisers
from exporters.targets.onnx_int8 import quantise
from exporters.targets.tensorrt_int8 import check_placement
from exporters.targets.typed_model import typed_model

SYMMETRIC = {"ActivationSymmetric": True, "WeightSymmetric": True, "AddQDQPairToWeight": True, "QuantizeBias": False}
WAYS = {
    "for a CPU: zero points, int32 biases": ("QUInt8", {}),
    "symmetric, weights quantised in the file": ("QInt8", SYMMETRIC),
}


def quantised(tiny, patterns, way: str) -> onnx.ModelProto:
    activations, options = WAYS[way]
    return quantise(tiny.model(), patterns, activations=activations, **options)


@pytest.mark.parametrize("way", WAYS)
def test_a_quantised_file_computes_the_same_without_quantisers(tiny, patterns, cosines, way):
    proto = quantised(tiny, patterns, way)
    before = proto.SerializeToString()
    assert has_quantisers(proto.graph)
    after = without_quantisers(proto)
    assert not has_quantisers(after.graph)
    assert not any(node.op_type == "Cast" and node.attribute[0].i == TensorProto.INT32 for node in after.graph.node)
    assert cosines(before, after.SerializeToString(), patterns).min() > 0.999999
    assert cosines(tiny.model().SerializeToString(), before, patterns).min() < 0.99999, "the quantisers matter"


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("way", WAYS)
def test_every_precision_takes_a_quantised_file(tiny, patterns, way, precision):
    model = quantised(tiny, patterns, way).SerializeToString()
    typed = typed_model(model, precision, patterns)
    assert typed.converted
    assert typed.min_cosine > {"fp32": 0.99999, "fp16": 0.999, "int8": 0.9}[precision]
    graph = onnx.load_from_string(typed.data).graph
    assert has_quantisers(graph) == (precision == "int8")
    check_placement(graph)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    zeros = [weights[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"]
    assert not any(zero.any() or zero.dtype != np.int8 for zero in zeros)


def test_a_file_without_quantisers_is_left_as_it_is(tiny):
    assert not has_quantisers(tiny.model().graph)
    assert not typed_model(tiny.model().SerializeToString(), "fp32").converted


def test_without_this_float16_would_refuse_the_file(tiny, patterns, cosines):
    """The error of TensorRT's int8 used to say "export fp16 instead", which then failed too."""
    model = quantised(tiny, patterns, "for a CPU: zero points, int32 biases").SerializeToString()
    with pytest.raises(ExportError, match="Type 'tensor\\(float16\\)' of input parameter"):
        cosines(model, to_half(model), patterns)


def one_quantiser(kind: int, zero, scale, *, axis: int | None = None) -> onnx.ModelProto:
    options = {} if axis is None else {"axis": axis}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], "q", **options),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], "d", **options),
    ]
    weights = [
        numpy_helper.from_array(np.asarray(scale, np.float32), "scale"),
        helper.make_tensor("zero", kind, np.shape(zero), np.ravel(zero)),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


@pytest.mark.parametrize(
    ("kind", "zero"), [(TensorProto.INT8, 0), (TensorProto.INT8, -7), (TensorProto.UINT8, 0), (TensorProto.UINT8, 130)]
)
def test_rounding_and_saturation_are_those_of_the_quantiser(kind, zero):
    from onnx.reference import ReferenceEvaluator

    model = one_quantiser(kind, zero, 0.5)
    x = np.linspace(-200, 200, 1601, dtype=np.float32).repeat(2).reshape(-1, 2)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    (got,) = ReferenceEvaluator(without_quantisers(model)).run(None, {"x": x})
    np.testing.assert_array_equal(got, expected)
    assert len(np.unique(got)) == 256


def test_what_cannot_be_replaced_is_refused_by_name():
    with pytest.raises(ExportError, match="quantiser q must have one constant scale to be replaced"):
        without_quantisers(one_quantiser(TensorProto.INT8, [0, 0], [0.5, 1.0], axis=1))
    with pytest.raises(ExportError, match=r"quantiser q must be of int8, uint8.* but is of float8"):
        without_quantisers(one_quantiser(TensorProto.FLOAT8E4M3FN, 0.0, 0.5))
    computed = one_quantiser(TensorProto.INT8, 0, 0.5)
    computed.graph.node.insert(0, helper.make_node("Abs", ["scale"], ["other"]))
    computed.graph.node[1].input[1] = "other"
    with pytest.raises(ExportError, match="one constant scale"):
        without_quantisers(computed)
