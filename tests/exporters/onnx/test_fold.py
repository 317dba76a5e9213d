"""What depends on constants only is computed before a graph is refused for an operator."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from exporters.errors import SourceError  # noqa: E402
from exporters.onnx.fold import folded  # noqa: E402
from exporters.onnx.session import open_session  # noqa: E402
from exporters.sources.onnx_source import open_onnx  # noqa: E402
from runtime.engines import agreement  # noqa: E402

pytestmark = pytest.mark.torch

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def with_nodes(path, *nodes, **constants):
    """Put nodes before the last one of a file; the last one then also adds their result "extra"."""
    model = onnx.load(path)
    last = model.graph.node[-1].output[0]
    model.graph.node[-1].output[0] = "before"
    model.graph.node.extend([*nodes, helper.make_node("Add", ["before", "extra"], [last])])
    model.graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in constants.items())
    onnx.save(model, path)
    return path


def test_operators_of_constants_are_computed_before_they_are_refused(user_onnx, pictures):
    nodes = (
        helper.make_node("NonZero", ["mask"], ["places"]),
        helper.make_node("Cast", ["places"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["floats"], ["extra"], keepdims=0),
    )
    path = with_nodes(user_onnx(batch=1), *nodes, mask=np.array([0, 1, 1], np.int64))
    source = open_onnx(path, **IMAGENET)
    assert "NonZero" not in {node.op_type for node in source.model.graph.node}
    got = open_session(source.to_onnx()).run(None, {"frames": pictures.frames})[0]
    assert agreement(got, source.embed(pictures.frames)).min() > 0.99999


def test_a_condition_on_a_constant_is_decided(user_onnx, pictures):
    ends = [helper.make_tensor_value_info("e", TensorProto.FLOAT, [])]
    branches = {
        name: helper.make_graph([helper.make_node("Constant", [], ["e"], value_float=value)], name, [], ends)
        for name, value in (("then_branch", 2.0), ("else_branch", 3.0))
    }
    path = with_nodes(user_onnx(), helper.make_node("If", ["yes"], ["extra"], **branches), yes=np.array(True))
    source = open_onnx(path, **IMAGENET)
    got = open_session(source.to_onnx()).run(None, {"frames": pictures.frames})[0]
    assert agreement(got, source.embed(pictures.frames)).min() > 0.99999


def test_an_operator_of_the_frame_is_still_refused(user_onnx):
    nodes = (
        helper.make_node("NonZero", ["before"], ["places"]),
        helper.make_node("Cast", ["places"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["floats"], ["extra"], keepdims=0),
    )
    with pytest.raises(SourceError, match="the operator NonZero"):
        open_onnx(with_nodes(user_onnx(), *nodes), **IMAGENET)


def test_the_batch_is_not_folded(user_onnx):
    model = onnx.load(user_onnx())
    assert folded(model).graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"


def test_what_is_written_into_a_constant_tensor_is_computed(user_onnx, pictures):
    nodes = (
        helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
        helper.make_node("ScatterND", ["zeros", "at", "updates"], ["written"]),
        helper.make_node("ReduceSum", ["written"], ["extra"], keepdims=0),
    )
    constants = {
        "size": np.array([4], np.int64),
        "at": np.array([[1], [2]], np.int64),
        "updates": np.array([1, 2], np.float32),
    }
    path = with_nodes(user_onnx(batch=1), *nodes, **constants)
    source = open_onnx(path, **IMAGENET)
    assert "ScatterND" not in {node.op_type for node in onnx.load_from_string(source.to_onnx()).graph.node}
