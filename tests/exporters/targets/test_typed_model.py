"""The ONNX files that TensorRT plans are built from: what became float16 or int8, what stayed, and do they agree?"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("onnxruntime")

from exporters.errors import ExportError
from exporters.onnx.float16 import float32_nodes, name_nodes, to_half
from exporters.targets.plan import Profile
from exporters.targets.qdq import to_int8
from exporters.targets.trtexec import tensorrt_rtx_line, trtexec_line
from exporters.targets.typed_model import run_on_cpu, typed_model

SHAPE = (32, 32, 3)


@pytest.fixture(scope="module")
def frames(tiny) -> np.ndarray:
    return tiny.bundle().preprocess.batch([tiny.pattern(i) for i in range(24)])


def cosines(model: bytes, other: bytes, frames: np.ndarray) -> np.ndarray:
    a, b = run_on_cpu(model, frames), run_on_cpu(other, frames)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def graph_of(data: bytes) -> onnx.GraphProto:
    return onnx.shape_inference.infer_shapes(onnx.load_from_string(data), strict_mode=True).graph


def types_of(graph: onnx.GraphProto) -> dict[str, int]:
    return {v.name: v.type.tensor_type.elem_type for v in (*graph.input, *graph.value_info, *graph.output)}


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_body_becomes_float16_and_head_and_tail_do_not(tiny, frames, metric, channels):
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
    assert cosines(model, half, frames[..., :channels]).min() > 0.99999


def test_features_whose_squares_overflow_float16_survive(tiny, frames):
    proto = tiny.model()
    weights = next(tensor for tensor in proto.graph.initializer if tensor.name == "projection")
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * 1000, "projection"))
    model = proto.SerializeToString()
    assert np.isfinite(run_on_cpu(to_half(model), frames)).all()
    assert cosines(model, to_half(model), frames).min() > 0.9999


def test_the_tail_that_torch_writes_for_normalize_stays_float32(frames):
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
    assert np.abs(np.linalg.norm(run_on_cpu(to_half(model), frames), axis=1) - 1).max() < 1e-3
    assert cosines(model, to_half(model), frames).min() > 0.9999


def test_weights_stored_as_float16_and_nodes_without_names_are_taken_too(tiny, frames):
    proto = tiny.model()
    kernel = next(tensor for tensor in proto.graph.initializer if tensor.name == "kernel")
    kernel.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(kernel).astype(np.float16), "kernel.half"))
    proto.graph.node.insert(0, helper.make_node("Cast", ["kernel.half"], ["kernel"], to=TensorProto.FLOAT))
    model = proto.SerializeToString()
    assert cosines(model, to_half(model), frames).min() > 0.99999
    assert any(
        node.op_type == "QuantizeLinear" and "kernel" in node.input[0] for node in graph_of(to_int8(model, frames)).node
    )


def embedder(nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], dim: int, opset: int = 18) -> bytes:
    graph = helper.make_graph(
        [helper.make_node("Cast", ["frames"], ["x"], to=TensorProto.FLOAT), *nodes],
        "g",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["n", *SHAPE])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", dim])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9).SerializeToString()


def test_a_body_with_casts_constants_and_no_tail_keeps_its_output(frames):
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
    np.testing.assert_allclose(run_on_cpu(half, frames), run_on_cpu(model, frames), atol=1)


def test_a_network_of_metric_only_is_not_worth_float16():
    nodes = [helper.make_node("Mul", ["x", "x"], ["embeddings"])]
    with pytest.raises(ExportError, match="more than its metric"):
        to_half(embedder(nodes, {}, 3))


def test_int8_has_symmetric_quantisers_around_every_product_and_float_biases(tiny, frames):
    model = tiny.model().SerializeToString()
    quantised = to_int8(model, frames)
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
    assert cosines(model, quantised, frames).min() > 0.98


def test_builder_flags_take_the_file_as_it_is(tiny):
    model = tiny.model().SerializeToString()
    typed = typed_model(model, "fp16", shape=SHAPE, for_flags=True)
    assert not typed.converted
    assert not any(t.data_type == TensorProto.FLOAT16 for t in graph_of(typed.data).initializer)


def test_int8_goes_on_where_onnxruntime_cannot_prepare_the_file(tiny, frames, monkeypatch):
    from onnxruntime.quantization import shape_inference

    def fails(*_, **__):
        raise TypeError("unsupported operand")

    monkeypatch.setattr(shape_inference, "quant_pre_process", fails)
    model = tiny.model().SerializeToString()
    assert cosines(model, to_int8(model, frames), frames).min() > 0.98


def test_what_cannot_be_converted_is_said_in_words(tiny, frames):
    model = tiny.model().SerializeToString()
    with pytest.raises(ExportError, match="int8 needs calibration frames, but has none; give some with --calibrate"):
        typed_model(model, "int8", shape=SHAPE)
    with pytest.raises(ExportError, match="16 calibration frames or more, but got 15"):
        typed_model(model, "int8", shape=SHAPE, calibration=frames[:15])
    with pytest.raises(ExportError, match=r"must be uint8 \[N, \*\(32, 32, 3\)\], but are float32"):
        typed_model(model, "int8", shape=SHAPE, calibration=frames.astype(np.float32))
    with pytest.raises(ExportError, match="must be one of fp32, fp16, int8, but is 'bf16'"):
        typed_model(model, "bf16", shape=SHAPE)
    with pytest.raises(ExportError, match="int8 needs one of Conv, Gemm, MatMul"):
        to_int8(embedder([helper.make_node("Neg", ["x"], ["embeddings"])], {}, 3), frames)


@pytest.mark.parametrize(("precision", "at_least"), [("fp32", 0.9999999), ("fp16", 0.9999), ("int8", 0.98)])
def test_a_typed_model_knows_how_well_it_agrees(tiny, frames, precision, at_least):
    typed = typed_model(tiny.model().SerializeToString(), precision, shape=SHAPE, calibration=frames)
    assert at_least < typed.min_cosine <= 1
    assert typed.input == "frames"


def test_a_conversion_that_went_wrong_is_refused(tiny, frames, monkeypatch):
    other = tiny.model(seed=5).SerializeToString()
    monkeypatch.setattr("exporters.targets.typed_model.to_half", lambda _: other)
    with pytest.raises(ExportError, match=r"must keep a cosine of 0.999 to float32 on the CPU, but the worst is"):
        typed_model(tiny.model().SerializeToString(), "fp16", shape=SHAPE, calibration=frames)


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


def test_trtexec_lines_follow_the_version():
    profile = Profile((32, 32, 3), (1, 1, 8))
    ten = trtexec_line("10.3.0", "m.onnx", "m.plan", profile, "frames", ["--fp16"])
    assert ten == (
        "trtexec --onnx=m.onnx --saveEngine=m.plan --minShapes=frames:1x32x32x3 --optShapes=frames:1x32x32x3 "
        "--maxShapes=frames:8x32x32x3 --fp16 --useCudaGraph"
    )
    eleven = trtexec_line("11.4.0.106", "m.onnx", "m.plan", profile, "frames", [])
    assert eleven.endswith("8x32x32x3 --includeDataTransfers --noSpinWait")
    rtx = tensorrt_rtx_line("m.onnx", "m.plan", profile, "frames", ["SM75", "SM120"])
    assert rtx.startswith("tensorrt_rtx --onnx=m.onnx")
    assert rtx.endswith("--noTF32 --computeCapabilities=75,120 --skipInference")
