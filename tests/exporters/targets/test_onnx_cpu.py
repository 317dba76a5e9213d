"""Reduced precisions of model.onnx for a CPU."""

import sys

import pytest

onnx = pytest.importorskip("onnx")

from exporters import ToolMissing  # noqa: E402
from exporters.targets.onnx_cpu import build  # noqa: E402


@pytest.mark.parametrize(("precision", "file", "cosine"), [
    ("fp32", "model.onnx", 0.999999), ("fp16", "onnx/fp16/model.onnx", 0.9999), ("int8", "onnx/int8/model.onnx", 0.95),
])  # fmt: skip
def test_every_precision_answers_as_the_float32_file(tiny, patterns, request_int8, cosines, precision, file, cosine):
    model = tiny.model().SerializeToString()
    made = build(model, precision, request_int8)
    assert (made.target, made.precision, made.file, list(made.files)) == ("onnx", precision, file, [file])
    assert cosines(made.files[file], model, patterns).min() > cosine


def test_int8_quantises_products_and_leaves_head_and_tail_alone(tiny, request_int8):
    made = build(tiny.model().SerializeToString(), "int8", request_int8)
    graph = onnx.load_from_string(made.files[made.file]).graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    products = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    assert products
    assert all(makers[name] == "DequantizeLinear" for node in products for name in node.input[:2])
    assert all(makers.get(name) != "DequantizeLinear" for n in graph.node if n.op_type == "Sqrt" for name in n.input)


def test_a_missing_quantiser_is_named_with_its_install_line(tiny, request_int8, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime.quantization", None)
    with pytest.raises(ToolMissing, match=r"edgefs\[export\]"):
        build(tiny.model().SerializeToString(), "int8", request_int8)
