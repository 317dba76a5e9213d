"""The rules give what ONNX's own examples of every operator give, and refuse a size that depends on the picture."""

import contextlib
import importlib
import warnings
from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.bundle.onnx_graph import DTYPES, Node, read_graph, tensor, unknown
from runtime.bundle.onnx_guard import ALLOWED_OPERATORS
from runtime.bundle.onnx_shapes import _RULES, infer

FLOAT = np.dtype("f4")
SLOW = {"AveragePool", "MaxPool"}  # computing their examples takes 8 seconds; see test_onnx_layers.py
MODULES = {
    "And": "and_",
    "GreaterOrEqual": "greater_or_equal",
    "LessOrEqual": "less_or_equal",
    "Not": "not_",
    "Or": "or_",
    "Range": "rangeop",
}
REFUSED = {  # what no embedding network needs: operator -> the part of an example's name that says so
    "BatchNormalization": "training_mode",
    "ReduceSum": "non_reduced_axis_zero",
    "Resize": ("tf_crop_and_resize", "not_larger", "not_smaller"),
}


def examples():
    """Yield (name, node, inputs, outputs) of the examples in ONNX's standard that have one allowed node."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of the examples overflow on purpose
        from onnx.backend.test.case import node as standard

        for operator in sorted(_RULES.keys() - SLOW):  # a module registers its examples
            with contextlib.suppress(ModuleNotFoundError):
                importlib.import_module(f"{standard.__name__}.{MODULES.get(operator, operator.lower())}")
    for case in standard._NodeTestCases:
        nodes = case.model.graph.node
        if len(nodes) != 1 or nodes[0].op_type not in _RULES or nodes[0].domain:
            continue
        inputs, outputs = (
            [numpy_helper.to_array(each) if isinstance(each, TensorProto) else each for each in some]
            for some in case.data_sets[0]
        )
        arrays = [each for each in (*inputs, *outputs) if isinstance(each, np.ndarray | np.generic)]
        types = {each.type.tensor_type.elem_type for each in (*case.model.graph.input, *case.model.graph.output)}
        if len(arrays) == len(inputs) + len(outputs) and types <= DTYPES.keys() - {TensorProto.BFLOAT16}:
            node = read_graph(case.model.SerializeToString()).nodes[0]
            named = dict(zip([value.name for value in case.model.graph.input], inputs, strict=True))
            yield case.name, node, [named[each] if each else None for each in node.inputs], outputs


def test_every_example_of_the_standard_gives_its_shapes_its_types_and_its_values():
    right = Counter()
    for name, node, inputs, outputs in examples():
        known = [None if value is None else tensor(np.asarray(value)) for value in inputs]
        if any(part in name for part in np.atleast_1d(REFUSED.get(node.operator, "-"))):
            with pytest.raises((ValueError, AssertionError)):
                assert len(infer(node, known)) == len(node.outputs)
            continue
        for value, expected in zip(infer(node, known), outputs, strict=True):
            assert (value.shape, value.dtype) == (expected.shape, expected.dtype), name
            assert not value.known or np.allclose(value.array, expected, equal_nan=True), name
        right[node.operator] += 1
    assert sum(right.values()) > 350
    same_as_input = {"BatchNormalization", "InstanceNormalization"}  # whose examples are in modules of other names
    assert _RULES.keys() - right.keys() == SLOW | same_as_input | {"FloorDiv"}  # of OpenVINO
    assert _RULES.keys() >= ALLOWED_OPERATORS


@pytest.mark.parametrize(
    ("operator", "attributes", "inputs"),
    [
        ("ConstantOfShape", {}, [unknown((2,), np.dtype("i8"))]),
        ("Expand", {}, [unknown((1,), FLOAT), unknown((2,), np.dtype("i8"))]),
        ("Tile", {}, [unknown((1,), FLOAT), unknown((1,), np.dtype("i8"))]),
        ("Reshape", {}, [unknown((4,), FLOAT), unknown((2,), np.dtype("i8"))]),
        ("Range", {}, [tensor(np.array(0)), unknown((), np.dtype("i8")), tensor(np.array(1))]),
        ("Resize", {}, [unknown((1, 1, 4, 4), FLOAT), None, unknown((4,), FLOAT)]),
        ("Resize", {}, [unknown((1, 1, 4, 4), FLOAT), None, None, unknown((4,), np.dtype("i8"))]),
        ("Pad", {}, [unknown((4,), FLOAT), unknown((2,), np.dtype("i8"))]),
        ("Slice", {}, [unknown((4,), FLOAT), unknown((1,), np.dtype("i8")), tensor(np.array([4]))]),
    ],
)
def test_a_size_that_depends_on_the_picture_is_refused(operator, attributes, inputs):
    with pytest.raises(ValueError, match="depend on the picture"):
        infer(Node("n", operator, (), ("y",), attributes), inputs)


def test_openvino_divides_whole_numbers_towards_minus_infinity_and_has_a_part_for_the_rest():
    a, b = (tensor(np.array(each)) for each in ([-7, 7, 7], [2, -2, 2]))
    for operator, expected in (("Div", [-3, -3, 3]), ("FloorDiv", [-4, -4, 3])):
        assert infer(Node("n", operator, (), ("y",), {}), [a, b])[0].array.tolist() == expected
    data, sizes = unknown((9, 2), FLOAT), tensor(np.array([2, -1, 3]))
    parts = infer(Node("n", "Split", (), ("x", "y", "z"), {"rest": 1}), [data, sizes])
    assert [part.shape for part in parts] == [(2, 2), (4, 2), (3, 2)]
    with pytest.raises(ValueError, match="do not make 9"):
        infer(Node("n", "Split", (), ("x", "y", "z"), {}), [data, sizes])


def test_the_start_of_a_backward_slice_is_clamped_as_engines_do():
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Slice", ["x", "s", "e", "a", "t"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [5])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [
                numpy_helper.from_array(np.array([each], np.int64), k)
                for k, each in zip("seat", (-9, -99, 0, -1), strict=True)
            ],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
    )
    expected = onnx.reference.ReferenceEvaluator(model).run(None, {"x": np.zeros(5, np.float32)})[0].shape
    inputs = [unknown((5,), FLOAT), *(tensor(np.array([each])) for each in (-9, -99, 0, -1))]
    assert [each.shape for each in infer(Node("n", "Slice", (), ("y",), {}), inputs)] in ([(1,)], [expected])


def test_whole_numbers_are_divided_towards_zero_and_never_by_zero():
    divide = Node("n", "Div", ("a", "b"), ("y",), {})
    a, b = tensor(np.array([-7, 7, -7, 7])), tensor(np.array([2, 2, -2, -2]))
    assert infer(divide, [a, b])[0].array.tolist() == [-3, 3, 3, -3]
    with pytest.raises(ZeroDivisionError):
        infer(divide, [a, tensor(np.array([1, 0, 1, 1]))])
