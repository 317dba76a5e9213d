"""ONNX files with the symmetric int8 quantisers that TensorRT accepts."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("onnxruntime")

from exporters.errors import ExportError
from exporters.targets.tensorrt_int8 import check_placement, to_int8


def graph_of(data: bytes) -> onnx.GraphProto:
    return onnx.shape_inference.infer_shapes(onnx.load_from_string(data), strict_mode=True).graph


def test_weights_stored_as_float16_are_quantised_too(tiny, patterns):
    proto = tiny.model()
    kernel = next(tensor for tensor in proto.graph.initializer if tensor.name == "kernel")
    kernel.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(kernel).astype(np.float16), "kernel.half"))
    proto.graph.node.insert(0, helper.make_node("Cast", ["kernel.half"], ["kernel"], to=TensorProto.FLOAT))
    model = proto.SerializeToString()
    nodes = graph_of(to_int8(model, patterns)).node
    assert any(node.op_type == "QuantizeLinear" and "kernel" in node.input[0] for node in nodes)


def test_int8_has_symmetric_quantisers_around_every_product_and_float_biases(tiny, patterns, cosines):
    model = tiny.model().SerializeToString()
    quantised = to_int8(model, patterns)
    graph = graph_of(quantised)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    products = [node for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    assert len(products) == 2
    for node in products:
        assert [made_by[name].op_type for name in node.input[:2]] == ["DequantizeLinear"] * 2
    for node in graph.node:
        if node.op_type.endswith("quantizeLinear") or node.op_type == "QuantizeLinear":
            assert not weights[node.input[2]].any()
            assert weights[node.input[2]].dtype == np.int8
    assert made_by[products[0].input[1]].attribute[0].i == 0, "per output channel"
    assert weights["bias"].dtype == np.float32
    assert cosines(model, quantised, patterns).min() > 0.98


def test_int8_goes_on_where_onnxruntime_cannot_prepare_the_file(tiny, patterns, monkeypatch, cosines):
    from onnxruntime.quantization import shape_inference

    def fails(*_, **__):
        raise TypeError("unsupported operand")

    monkeypatch.setattr(shape_inference, "quant_pre_process", fails)
    model = tiny.model().SerializeToString()
    assert cosines(model, to_int8(model, patterns), patterns).min() > 0.98


def test_a_network_without_products_and_too_few_frames_are_refused(tiny, patterns):
    proto = tiny.model()
    with pytest.raises(ExportError, match="16 calibration frames or more, but got 15"):
        to_int8(proto.SerializeToString(), patterns[:15])
    graph = helper.make_graph([helper.make_node("Neg", ["frames"], ["embeddings"])], "g", proto.graph.input, [
        helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, None)])  # fmt: skip
    with pytest.raises(ExportError, match="int8 needs one of Conv, Gemm, MatMul"):
        to_int8(helper.make_model(graph).SerializeToString(), patterns)


def test_a_planted_quantiser_between_a_product_and_its_activation_is_caught_by_name(tiny, patterns, cosines):
    model = tiny.model().SerializeToString()
    usual, for_dla = to_int8(model, patterns), to_int8(model, patterns, for_dla=True)
    check_placement(graph_of(usual))
    with pytest.raises(ExportError, match=r"maps_QuantizeLinear is between Conv_4\S* and Relu_5"):
        check_placement(graph_of(for_dla))
    assert len(graph_of(usual).node) < len(graph_of(for_dla).node)
    assert cosines(model, usual, patterns).mean() > cosines(model, for_dla, patterns).mean()


def test_the_placement_is_checked_when_a_file_is_made(tiny, patterns, monkeypatch):
    from exporters.targets import tensorrt_int8

    def everywhere(*arguments, **options):
        options.pop("OpTypesToExcludeOutputQuantization")
        return quantise(*arguments, **options)

    quantise = tensorrt_int8.quantise
    monkeypatch.setattr(tensorrt_int8, "quantise", everywhere)
    with pytest.raises(ExportError, match="no quantiser may be between a product and its activation"):
        to_int8(tiny.model().SerializeToString(), patterns)
