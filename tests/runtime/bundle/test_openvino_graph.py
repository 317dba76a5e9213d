"""The shapes that are computed for an IR are those that OpenVINO states in it, for every allowed operator."""

import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.bundle.onnx_guard import ALLOWED_OPERATORS
from runtime.bundle.openvino_guard import check_ir
from runtime.engines.openvino import core
from runtime.models import default_bundle

FRAME = (8, 6, 4)
SAME = """
    Abs Celu Ceil Cos Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity LeakyRelu Log Mish Neg Reciprocal
    Relu Round Selu Sigmoid Sign Sin Softmax Softplus Softsign Sqrt Tanh GlobalAveragePool GlobalMaxPool Flatten
    Shape"""
TWO = "Add Div Max Min Mul Pow Sub Sum Equal Greater GreaterOrEqual Less LessOrEqual PRelu"
REDUCE = "ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceSum ReduceSumSquare"
SIZES = np.array([1, 1, 2, 1])
MASK = {"low": np.float32(3)}


def w(*shape):
    return np.ones(shape, np.float32)


def rows():
    """Return name -> (nodes, constants) of networks that take planes `x`, float32 [n, 4, 8, 6], and give `y`."""
    table = {name: ([(name, "x", {})], {}) for name in SAME.split()}
    table |= {name: ([(name, "x a", {})], {"a": w(4, 1, 1)}) for name in TWO.split()}
    table |= {
        f"{name} {keep}": ([(name, "x i", {"keepdims": keep})], {"i": [2, -1]})
        for name in REDUCE.split()
        for keep in (0, 1)
    }
    table["ReduceMean of all"] = [("ReduceMean", "x", {})], {}
    kernel = {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]}
    for ceil in (0, 1):
        table[f"MaxPool {ceil}"] = [("MaxPool", "x", {**kernel, "ceil_mode": ceil})], {}
        table[f"AveragePool {ceil}"] = [("AveragePool", "x", {**kernel, "ceil_mode": ceil})], {}
    table["Conv"] = [("Conv", "x a b", {"strides": [2, 1], "pads": [1, 0, 2, 1]})], {"a": w(5, 4, 3, 3), "b": w(5)}
    table["Conv of groups"] = [("Conv", "x a", {"group": 2, "dilations": [2, 2]})], {"a": w(6, 2, 2, 2)}
    table["Conv of each"] = [("Conv", "x a", {"group": 4, "auto_pad": "SAME_UPPER"})], {"a": w(4, 1, 3, 3)}
    table["MatMul"] = [("MatMul", "x a", {})], {"a": w(6, 7)}
    table["Gemm"] = [("Flatten", "x", {}), ("Gemm", "y0 a b", {"transB": 1})], {"a": w(9, 192), "b": w(9)}
    table["Einsum"] = [("Einsum", "x a", {"equation": "nchw,cd->ndhw"})], {"a": w(4, 5)}
    table["BatchNormalization"] = [("BatchNormalization", "x a a a a", {})], {"a": w(4)}
    table["InstanceNormalization"] = [("InstanceNormalization", "x a a", {})], {"a": w(4)}
    table["GroupNormalization"] = [("GroupNormalization", "x a a", {"num_groups": 2})], {"a": w(2)}
    table["LayerNormalization"] = [("LayerNormalization", "x a a", {})], {"a": w(6)}
    table["LpNormalization"] = [("LpNormalization", "x", {"axis": 1})], {}
    table["Clip"] = [("Clip", "x a b", {})], {"a": np.float32(0), "b": np.float32(6)}
    table["Concat"] = [("Concat", "x x", {"axis": -3})], {}
    table["CumSum"] = [("CumSum", "x i", {})], {"i": np.int64(1)}
    table["DepthToSpace"] = [("DepthToSpace", "x", {"blocksize": 2})], {}
    table["SpaceToDepth"] = [("SpaceToDepth", "x", {"blocksize": 2})], {}
    table["Expand"] = [("Expand", "a s", {}), ("Add", "x y0", {})], {"a": w(1, 1), "s": [4, 8, 6]}
    table["ConstantOfShape"] = [("ConstantOfShape", "s", {}), ("Add", "x y0", {})], {"s": [4, 8, 6]}
    table["Gather"] = [("Gather", "x i", {"axis": 1})], {"i": [0, 2, -1]}
    table["Gather one"] = [("Gather", "x i", {"axis": 2})], {"i": np.int64(3)}
    table["GatherND"] = [("GatherND", "x i", {})], {"i": [[0, 2], [0, 1]]}
    table["Pad"] = [("Pad", "x p", {"mode": "reflect"})], {"p": [0, 0, 1, 2, 0, 0, 3, 1]}
    table["Resize by"] = [("Resize", "x  f", {"mode": "nearest"})], {"f": np.float32([1, 1, 2, 1.5])}
    table["Resize to"] = [("Resize", "x   s", {"mode": "linear"})], {"s": [1, 4, 5, 7]}
    table["Range"] = [("Range", "a b c", {}), ("Gather", "x y0", {"axis": 2})], {
        "a": np.int64(7), "b": np.int64(0), "c": np.int64(-2)
    }  # fmt: skip
    table["Reshape"] = [("Reshape", "x s", {})], {"s": [0, -1, 12]}
    table["Slice"] = [("Slice", "x a b c d", {})], {"a": [1, -1], "b": [9, -9], "c": [1, 2], "d": [2, -3]}
    table["Split"] = [("Split", "x s", {"axis": 1, "to": 2})], {"s": [1, 3]}
    table["Split equally"] = [("Split", "x", {"axis": 2, "num_outputs": 2, "to": 2})], {}
    table["Squeeze"] = [("ReduceMax", "x i", {}), ("Squeeze", "y0 i", {})], {"i": [2, 3]}
    table["Unsqueeze"] = [("Unsqueeze", "x i", {})], {"i": [-1, 1]}
    table["Tile"] = [("Tile", "x s", {})], {"s": SIZES}
    table["Transpose"] = [("Transpose", "x", {"perm": [0, 2, 3, 1]})], {}
    table["Where"] = [("Greater", "x low", {}), ("Where", "y0 x low", {})], MASK
    table["Not"] = [("Greater", "x low", {}), ("Not", "y0", {})], MASK
    for name in ("And", "Or"):
        table[name] = [("Greater", "x low", {}), (name, "y0 y0", {})], MASK
    table["QuantizeLinear"] = [("QuantizeLinear", "x a z", {}), ("DequantizeLinear", "y0 a z", {})], {
        "a": np.float32(0.1), "z": np.uint8(3)
    }  # fmt: skip
    table["a size that follows from another"] = (
        [("Shape", "x", {}), ("Gather", "y0 i", {}), ("Concat", "y1 j", {"axis": 0}), ("Reshape", "x y2", {})],
        {"i": [0, 1], "j": [-1]},
    )
    return table


def ir_of(nodes, constants):
    """Return the IR (.xml, .bin) that OpenVINO makes of a network of frames."""
    made = [
        helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["x"], perm=[0, 3, 1, 2]),
    ]
    for at, (operator, inputs, attributes) in enumerate(nodes):
        last = at == len(nodes) - 1
        more = {key: value for key, value in attributes.items() if key != "to"}
        outputs = [f"y{'' if last else at}", *(f"z{each}" for each in range(attributes.get("to", 1) - 1))]
        made.append(helper.make_node(operator, inputs.split(" "), outputs, **more))
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    ends = [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["n", *FRAME])]
    results = [helper.make_empty_tensor_value_info(name) for node in made[-1:] for name in node.output]
    graph = helper.make_graph(made, "g", ends, results, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return saved(pytest.importorskip("openvino"), model.SerializeToString())


def saved(openvino, model, half=False):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        openvino.save_model(core().read_model(io.BytesIO(model)), path, compress_to_fp16=half)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


@pytest.mark.parametrize("name", rows())
def test_the_layers_of_an_allowed_operator_have_the_sizes_that_openvino_states(name):
    check_ir(*ir_of(*rows()[name]), FRAME)


def test_every_allowed_operator_is_tried():
    tried = {operator for nodes, _ in rows().values() for operator, _, _ in nodes} | {"Cast"}
    assert ALLOWED_OPERATORS - tried == {"Constant", "Dropout"}


@pytest.mark.parametrize("half", [False, True])
def test_our_own_network_passes(half):
    bundle = default_bundle()
    check_ir(*saved(pytest.importorskip("openvino"), bundle.read("model.onnx"), half=half), bundle.preprocess.shape)
