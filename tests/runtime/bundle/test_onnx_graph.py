"""Nodes, attributes and small weights are read as the onnx package reads them."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.bundle.onnx_graph import MAX_KNOWN, read_graph, tensor, unknown


def graph_of(*nodes, weights=()):
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph(list(nodes), "g", ends[:1], ends[1:], list(weights))
    return read_graph(helper.make_model(graph).SerializeToString())


@pytest.mark.parametrize("kind", ["f4", "f2", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"])
@pytest.mark.parametrize("raw", [True, False])
def test_small_weights_are_read_in_every_type(kind, raw):
    values = np.array(
        [[0, 1, 1], [0, 1, 0]] if kind in ("?", "u1", "u2", "u4", "u8") else [[-3, 1, 2], [0, -1, 100]], kind
    )
    number = helper.np_dtype_to_tensor_dtype(values.dtype)
    data = values.tobytes() if raw else values.ravel().tolist()
    read = graph_of(weights=[helper.make_tensor("w", number, values.shape, data, raw)]).weights["w"]
    assert read.known
    assert read.dtype == values.dtype
    assert np.array_equal(read.array, values)


def test_attributes_are_read_in_every_type():
    node = helper.make_node(
        "Op",
        ["x", ""],
        ["y"],
        name="layer",
        f=1.5,
        i=-7,
        s="text",
        fs=[1.0, 2.5],
        t=numpy_helper.from_array(np.arange(3)),
    )
    node.attribute.append(helper.make_attribute("is", [-1, 0, 2**40]))
    (read,) = graph_of(node).nodes
    assert (read.name, read.operator, read.inputs, read.outputs) == ("layer", "Op", ("x", ""), ("y",))
    assert [read.attributes[key] for key in ("f", "i", "s")] == [1.5, -7, "text"]
    assert read.attributes["is"].tolist() == [-1, 0, 2**40]
    assert read.attributes["fs"].tolist() == [1.0, 2.5]
    assert read.attributes["t"].array.tolist() == [0, 1, 2]


def test_a_value_in_another_field_than_its_type_says_is_not_read():
    node = helper.make_node("Op", ["x"], ["y"], group=3)
    node.attribute[0].type = 1  # a float, whose field is absent
    with pytest.raises(IndexError):
        graph_of(node)


def test_weights_without_their_values_and_repeated_names_are_refused():
    hollow = TensorProto(name="w", data_type=1, dims=[1_000_000, 1_000_000])
    with pytest.raises(ValueError, match="0 bytes of values"):
        graph_of(weights=[hollow])
    deep = TensorProto(name="w", data_type=1, dims=[1] * 100, raw_data=b"1234")
    with pytest.raises(ValueError, match="with 100 dimensions"):
        graph_of(weights=[deep])
    weight = numpy_helper.from_array(np.ones(2), "w")
    with pytest.raises(ValueError, match="same name"):
        graph_of(weights=[weight, weight])
    node = helper.make_node("Op", ["x"], ["y"], axis=1)
    node.attribute.append(node.attribute[0])
    with pytest.raises(ValueError, match="same attribute twice"):
        graph_of(node)


def test_a_tensor_of_unknown_values_takes_no_memory_and_is_never_empty():
    large = unknown((1000, 1000, 1000), np.dtype("f4"))
    assert large.n_bytes == 4_000_000_000
    assert large.array.base.nbytes == 4
    assert not tensor(np.zeros(MAX_KNOWN + 1)).known
    for shape in ((2, 0), (-1,)):
        with pytest.raises(ValueError, match="at least 1"):
            unknown(shape, np.dtype("f4"))
    with pytest.raises(ValueError, match="any computer"):
        unknown((2**40, 2**40), np.dtype("f4"))
