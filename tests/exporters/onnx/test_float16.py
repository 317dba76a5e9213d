"""ONNX files whose body computes in float16: what became float16, what stayed float32, and whether they agree."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("onnxruntime")

from exporters.errors import ExportError
from exporters.onnx.float16 import float32_nodes, name_nodes, to_half
from exporters.onnx.session import embed_as_written

SHAPE = (32, 32, 3)


def graph_of(data: bytes) -> onnx.GraphProto:
    return onnx.shape_inference.infer_shapes(onnx.load_from_string(data), strict_mode=True).graph


def types_of(graph: onnx.GraphProto) -> dict[str, int]:
    return {v.name: v.type.tensor_type.elem_type for v in (*graph.input, *graph.value_info, *graph.output)}


def embedder(nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], dim: int, opset: int = 18) -> bytes:
    graph = helper.make_graph(
        [helper.make_node("Cast", ["frames"], ["x"], to=TensorProto.FLOAT), *nodes],
        "g",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["n", *SHAPE])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", dim])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9).SerializeToString()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_body_becomes_float16_and_head_and_tail_do_not(tiny, patterns, metric, channels, cosines):
    model = tiny.model(metric=metric, channels=channels).SerializeToString()
    half = to_half(model)
    graph = graph_of(half)
    types = types_of(graph)
    assert types["frames"] == TensorProto.UINT8
    assert types["embeddings"] == TensorProto.FLOAT
    for node in graph.node:
        expected = TensorProto.FLOAT16 if node.op_type in ("Conv", "Relu", "AveragePool", "Flatten", "Gemm") else None
        expected = TensorProto.FLOAT if node.op_type in ("Sub", "Mul", "ReduceSum", "Sqrt", "Div") else expected
        assert expected in (None, types[node.output[0]]), node
    assert sum(node.op_type == "Cast" for node in graph.node) == 3, "uint8, into the body, out of it"
    assert cosines(model, half, patterns[..., :channels]).min() > 0.99999


def test_features_whose_squares_overflow_float16_survive(tiny, patterns, cosines):
    proto = tiny.model()
    weights = next(tensor for tensor in proto.graph.initializer if tensor.name == "projection")
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * 1000, "projection"))
    model = proto.SerializeToString()
    assert np.isfinite(embed_as_written(to_half(model), patterns)).all()
    assert cosines(model, to_half(model), patterns).min() > 0.9999


def test_the_tail_that_torch_writes_for_normalize_stays_float32(patterns, cosines):
    weights = {"w": np.random.default_rng(0).standard_normal((3072, 64)).astype(np.float32) / 20}
    weights |= {"s": np.array([0, -1], np.int64), "eps": np.array(1e-12, np.float32)}
    nodes = [
        helper.make_node("Reshape", ["x", "s"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
        helper.make_node("ReduceL2", ["y"], ["norm"], axes=[1], keepdims=1),
        helper.make_node("Clip", ["norm", "eps"], ["safe"]),
        helper.make_node("Shape", ["y"], ["shape"]),
        helper.make_node("Expand", ["safe", "shape"], ["wide"]),
        helper.make_node("Div", ["y", "wide"], ["embeddings"]),
    ]
    model = embedder(nodes, weights, 64, opset=17)
    assert np.abs(np.linalg.norm(embed_as_written(to_half(model), patterns), axis=1) - 1).max() < 1e-3
    assert cosines(model, to_half(model), patterns).min() > 0.9999


def test_a_body_with_casts_constants_and_no_tail_keeps_its_output(patterns):
    weights = {
        "w": np.full((3072, 4), 1e-5, np.float32),
        "mask": np.array(-3e38, np.float32),
        "s": np.array([0, -1], np.int64),
    }
    nodes = [
        helper.make_node("Reshape", ["x", "s"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
        helper.make_node("Shape", ["y"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("Constant", [], ["half"], value_float=0.5),
        helper.make_node("Max", ["y", "mask", "zeros", "half"], ["m"]),
        helper.make_node("Cast", ["m"], ["whole"], to=TensorProto.INT32),
        helper.make_node("Cast", ["whole"], ["again"], to=TensorProto.FLOAT),
        helper.make_node("Neg", ["again"], ["n"]),
        helper.make_node("Relu", ["n"], ["r"]),
        helper.make_node("Neg", ["r"], ["embeddings"]),
    ]
    model = embedder(nodes, weights, 4)
    half = to_half(model)
    assert types_of(graph_of(half))["embeddings"] == TensorProto.FLOAT
    np.testing.assert_allclose(embed_as_written(half, patterns), embed_as_written(model, patterns), atol=1)


def test_a_network_of_metric_only_has_nothing_to_convert():
    nodes = [helper.make_node("Mul", ["x", "x"], ["embeddings"])]
    with pytest.raises(ExportError, match="more than its metric"):
        to_half(embedder(nodes, {}, 3))


def test_float32_nodes_are_named_once_each(tiny):
    graph = tiny.model().graph
    name_nodes(graph)
    assert len({node.name for node in graph.node}) == len(graph.node)
    assert {name.split("_")[0] for name in float32_nodes(graph)} == {
        "Cast",
        "Transpose",
        "Sub",
        "Mul",
        "ReduceSum",
        "Add",
        "Sqrt",
        "Div",
    }


def test_weights_stored_as_float16_and_nodes_without_names_are_accepted(tiny, patterns, cosines):
    proto = tiny.model()
    kernel = next(tensor for tensor in proto.graph.initializer if tensor.name == "kernel")
    kernel.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(kernel).astype(np.float16), "kernel.half"))
    proto.graph.node.insert(0, helper.make_node("Cast", ["kernel.half"], ["kernel"], to=TensorProto.FLOAT))
    model = proto.SerializeToString()
    assert cosines(model, to_half(model), patterns).min() > 0.99999
