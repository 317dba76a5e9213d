"""Convolutions, poolings and products have the shapes that ONNX's own inference gives."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from runtime.bundle.onnx_graph import read_graph, unknown
from runtime.bundle.onnx_shapes import infer

FLOAT = np.dtype("f4")


def inferred(operator, *shapes, **attributes):
    """Return the output shape by our rule and by ONNX; None where the inputs are refused."""
    names = [f"x{at}" for at in range(len(shapes))]
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node(operator, names, ["y"], **attributes)],
            "g",
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name, shape in zip(names, shapes, strict=True)
            ],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
    )
    try:
        output = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph.output[0]
        theirs = tuple(side.dim_value for side in output.type.tensor_type.shape.dim)
    except onnx.shape_inference.InferenceError:
        theirs = None
    try:
        ours = infer(read_graph(model.SerializeToString()).nodes[0], [unknown(shape, FLOAT) for shape in shapes])[
            0
        ].shape
    except (ValueError, LookupError):
        ours = None
    return ours, theirs


@st.composite
def windows(draw):
    sizes = [draw(st.integers(3, 12)) for _ in range(2)]
    kernel = [draw(st.integers(1, 3)) for _ in range(2)]
    attributes = {
        "kernel_shape": kernel,
        "strides": [draw(st.integers(1, 3)) for _ in range(2)],
        "pads": [draw(st.integers(0, (kernel[at % 2] - 1) // 2)) for at in range(4)],
    }
    if draw(st.booleans()):
        attributes |= {"auto_pad": draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]))}
        del attributes["pads"]
    return sizes, attributes


@settings(max_examples=150, deadline=None)
@given(windows(), st.integers(1, 2))
def test_a_convolution_has_the_shape_that_onnx_infers(window, dilation):
    sizes, attributes = window
    if "auto_pad" not in attributes:
        attributes = {**attributes, "dilations": [dilation, 1]}
    ours, theirs = inferred("Conv", (1, 4, *sizes), (6, 2, *attributes["kernel_shape"]), group=2, **attributes)
    room = [
        size + sum(attributes.get("pads", [0] * 4)[at::2]) - (each - 1) * step - 1
        for at, (size, each, step) in enumerate(
            zip(sizes, attributes["kernel_shape"], attributes.get("dilations", [1, 1]), strict=True)
        )
    ]
    fits = min(room) >= 0 or "SAME" in attributes.get("auto_pad", "")  # ONNX rounds what does not fit up to one window
    assert ours == (theirs if fits else None)


@settings(max_examples=150, deadline=None)
@given(windows(), st.sampled_from(["MaxPool", "AveragePool"]), st.integers(0, 1))
def test_a_pooling_has_the_shape_that_onnx_infers(window, operator, ceil_mode):
    sizes, attributes = window
    if "auto_pad" not in attributes:
        # ONNX counts a window that lies in the padding only; engines do not.
        steps = [min(pair) for pair in zip(attributes["strides"], attributes["kernel_shape"], strict=True)]
        attributes = {**attributes, "ceil_mode": ceil_mode, "strides": steps, "pads": [*attributes["pads"][:2], 0, 0]}
    ours, theirs = inferred(operator, (1, 4, *sizes), **attributes)
    assert ours == theirs


@pytest.mark.parametrize(
    ("a", "b"),
    [((3, 4), (4, 5)), ((4,), (4, 5)), ((3, 4), (4,)), ((2, 1, 3, 4), (7, 4, 5)), ((3, 4), (5, 4)), ((4,), (4,))],
)
def test_a_product_has_the_shape_that_onnx_infers(a, b):
    ours, theirs = inferred("MatMul", a, b)
    assert ours == theirs


def test_weights_that_do_not_fit_are_refused():
    assert inferred("Conv", (1, 3, 8, 8), (6, 4, 3, 3))[0] is None
    assert inferred("Gemm", (2, 3), (4, 5))[0] is None
    assert inferred("AveragePool", (1, 3, 8, 8), kernel_shape=[3, 3], strides=[0, 1])[0] is None
    assert inferred("MaxPool", (1, 3, 8, 8), kernel_shape=[3, 3], pads=[1, 1])[0] is None
