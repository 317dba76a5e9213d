"""Operators of current backbones give the same numbers in ONNX Runtime, in OpenVINO and in ONNX's own definition."""

import io

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from runtime.bundle.onnx_guard import check_onnx
from runtime.engines.openvino import core

FLOATS = {
    "Celu": {"alpha": 0.7},
    "DepthToSpace": {"blocksize": 2},
    "LpNormalization": {"axis": 1, "p": 2},
    "Mish": {},
    "ReduceL1": {"axes": [2, 3]},
    "ReduceMin": {"axes": [1]},
    "ReduceSumSquare": {"axes": [1, 2]},
    "Round": {},
    "Selu": {},
    "Softsign": {},
    "SpaceToDepth": {"blocksize": 2},
}
COMPARISONS = ("And", "GreaterOrEqual", "Less", "LessOrEqual", "Or")


def model_of(nodes, **constants):
    tensors = [numpy_helper.from_array(np.asarray(values), name) for name, values in constants.items()]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy"]
    ends[0] = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8, 4, 6])
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def case_of(operator):
    if operator == "Einsum":
        return model_of(
            [helper.make_node("Einsum", ["x", "w"], ["y"], equation="nchw,cd->ndhw")], w=np.eye(8, 5, dtype="f4")
        )
    if operator == "GroupNormalization":
        scale = np.linspace(0.5, 2, 2, dtype="f4")
        node = helper.make_node(operator, ["x", "scale", "bias"], ["y"], num_groups=2)
        return model_of([node], scale=scale, bias=scale - 1)
    if operator in COMPARISONS:
        logical = operator in ("And", "Or")
        nodes = [helper.make_node("Greater", ["x", name], [f"{name}.b"]) for name in ("low", "high") if logical]
        pair = ["low.b", "high.b"] if logical else ["x", "high"]
        nodes += [helper.make_node(operator, pair, ["b"]), helper.make_node("Cast", ["b"], ["y"], to=TensorProto.FLOAT)]
        low = {"low": np.float32(-0.2)} if logical else {}
        return model_of(nodes, high=np.float32(0.5), **low)
    attributes = dict(FLOATS[operator])
    axes = attributes.pop("axes", None)
    given = ["x"] if axes is None else ["x", "axes"]
    return model_of(
        [helper.make_node(operator, given, ["y"], **attributes)], **({} if axes is None else {"axes": axes})
    )


@pytest.mark.parametrize("operator", [*FLOATS, *COMPARISONS, "Einsum", "GroupNormalization"])
def test_an_allowed_operator_means_the_same_everywhere(operator):
    onnxruntime = pytest.importorskip("onnxruntime")
    model = case_of(operator)
    data = model.SerializeToString()
    check_onnx(data)
    x = np.random.default_rng(0).standard_normal((2, 8, 4, 6)).astype(np.float32) * 3
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    network = core().compile_model(core().read_model(io.BytesIO(data)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for found in (session.run(None, {"x": x})[0], network(x)[0]):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
