"""The guard accepts plain, finite, self-contained networks and refuses everything else with a BundleError."""

import contextlib

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from runtime.bundle.onnx_guard import ALLOWED_OPERATORS, check_onnx
from runtime.errors import BundleCorrupt, BundleError, BundleUnsupported

NAN, INF = float("nan"), float("inf")


def network(*nodes, weights=(), **model):
    """Return a model of the given nodes and a Relu, as bytes."""
    nodes = [*nodes, helper.make_node("Relu", ["x"], ["y"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], **model).SerializeToString()


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number, payload, wire=2):
    return varint(number << 3 | wire) + (varint(len(payload)) if wire == 2 else b"") + payload


def tensor(dtype, **kinds):
    """A TensorProto with the given values in the given typed fields."""
    proto = TensorProto(name="w", data_type=dtype, dims=[1])
    for kind, value in kinds.items():
        if kind == "raw_data":
            proto.raw_data = value
        else:
            getattr(proto, kind).extend(value)
    return proto


def test_valid_files_pass(tiny):
    for metric in ("cosine", "euclidean"):
        check_onnx(tiny.model(metric=metric).SerializeToString())
    integers = [numpy_helper.from_array(np.array([0, 1], kind), f"i{kind}") for kind in ("i1", "u1", "i4", "i8", "?")]
    halves = numpy_helper.from_array(np.array([65504, -1e-7], np.float16), "half")
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.ones(3, np.float32)))
    scalar = helper.make_node("Constant", [], ["d"], value_float=1.5)
    check_onnx(network(constant, scalar, weights=[*integers, halves]))


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize(
    "make",
    [
        lambda bad: numpy_helper.from_array(np.array([1, bad], np.float32), "w"),
        lambda bad: numpy_helper.from_array(np.array([1, bad], np.float16), "w"),
        lambda bad: numpy_helper.from_array(np.array([1, bad], np.float64), "w"),
        lambda bad: helper.make_tensor("w", TensorProto.FLOAT, [2], [1, bad]),  # float_data
        lambda bad: helper.make_tensor("w", TensorProto.DOUBLE, [2], [1, bad]),  # double_data
        lambda bad: helper.make_tensor("w", TensorProto.FLOAT16, [2], [1, bad]),  # int32_data
        lambda bad: helper.make_tensor("w", TensorProto.BFLOAT16, [2], [1, bad]),  # int32_data
        lambda bad: tensor(16, raw_data=(np.array([bad], "<f4").view("<u4") >> 16).astype("<u2").tobytes()),
    ],
    ids=["raw", "raw16", "raw64", "float", "double", "half as int32", "bfloat as int32", "bfloat raw"],
)
def test_weights_that_are_not_finite_are_named(make, bad):
    with pytest.raises(BundleCorrupt, match=r"all weights must be finite, but w has 1 NaN or infinite ones"):
        check_onnx(network(weights=[make(bad)]))
    with pytest.raises(BundleCorrupt, match="all weights must be finite"):
        check_onnx(network(helper.make_node("Constant", [], ["c"], value=make(bad))))


@pytest.mark.parametrize("attribute", [{"value_float": NAN}, {"value_floats": [1.0, -INF]}])
def test_float_attributes_must_be_finite_too(attribute):
    with pytest.raises(BundleCorrupt, match="must be finite"):
        check_onnx(network(helper.make_node("Constant", [], ["c"], **attribute)))


def test_a_nan_in_the_first_of_several_float_data_fields_is_found():
    good, bad = np.array([1], "<f4").tobytes(), np.array([NAN], "<f4").tobytes()
    for pieces in (field(4, bad) + field(4, good), field(4, bad, wire=5) + field(4, good, wire=5)):
        proto = field(2, varint(1), wire=0) + pieces
        with pytest.raises(BundleCorrupt, match="must be finite"):
            check_onnx(field(7, field(5, proto)))


def test_a_tensor_given_twice_in_one_attribute_is_refused_because_parsers_merge_the_two():
    harmless = field(2, varint(7), wire=0) + field(9, np.array([NAN], "<f4").tobytes())  # "int64"
    renamed = field(2, varint(1), wire=0)  # this makes it a float
    attribute = field(1, b"value") + field(5, harmless) + field(5, renamed)
    with pytest.raises(BundleUnsupported, match="at most one dense tensor"):
        check_onnx(field(7, field(1, field(4, b"Constant") + field(5, attribute))))


@pytest.mark.parametrize("dtype", [TensorProto.STRING, TensorProto.COMPLEX64, TensorProto.FLOAT8E4M3FN, 99])
def test_weights_of_other_types_are_refused(dtype):
    with pytest.raises(BundleUnsupported, match=f"w is of ONNX type {dtype}"):
        check_onnx(network(weights=[tensor(dtype, raw_data=b"1234")]))


def test_external_data_is_refused():
    by_location = tensor(1)
    by_location.data_location = TensorProto.EXTERNAL
    by_entry = tensor(1)
    by_entry.external_data.add(key="location", value="/etc/passwd")
    for proto in (by_location, by_entry):
        with pytest.raises(BundleUnsupported, match="points to external data; save it in one file"):
            check_onnx(network(weights=[proto]))
        with pytest.raises(BundleUnsupported, match="external data"):
            check_onnx(network(helper.make_node("Constant", [], ["c"], value=proto)))


def test_control_flow_is_refused_by_its_subgraph_even_under_an_allowed_name():
    inner = helper.make_graph([helper.make_node("Relu", ["a"], ["b"])], "inner", [], [])
    for operator, key in (("Loop", "body"), ("If", "then_branch"), ("Relu", "body")):
        with pytest.raises(BundleUnsupported, match="one flat graph"):
            check_onnx(network(helper.make_node(operator, ["x"], ["z"], **{key: inner})))
    with pytest.raises(BundleUnsupported, match="one flat graph"):
        check_onnx(network(helper.make_node("Relu", ["x"], ["z"], bodies=[inner])))


def test_an_operator_that_is_not_allowed_is_named_with_its_domain():
    for operator, domain, message in (
        ("Loop", "", "the operator Loop,"),
        ("NonZero", "", "the operator NonZero,"),
        ("Relu", "com.evil", r"the operator com\.evil\.Relu,"),
        ("", "", "the operator ,"),
    ):
        with pytest.raises(BundleUnsupported, match=message):
            check_onnx(network(helper.make_node(operator, ["x"], ["z"], domain=domain)))
    check_onnx(network(helper.make_node("Relu", ["x"], ["z"], domain="ai.onnx")))


def test_no_allowed_operator_runs_a_subgraph_or_is_random():
    assert not ALLOWED_OPERATORS & {"If", "Loop", "Scan", "SequenceMap", "RandomNormal", "Bernoulli", "StringConcat"}
    schemas = {schema.name: schema for schema in onnx.defs.get_all_schemas()}
    kinds = {attribute.type for name in ALLOWED_OPERATORS for attribute in schemas[name].attributes.values()}
    assert onnx.defs.OpSchema.AttrType.GRAPH not in kinds


def test_functions_and_training_steps_are_refused():
    function = helper.make_function("own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [])
    with pytest.raises(BundleUnsupported, match="functions or training steps"):
        check_onnx(network(functions=[function]))
    model = onnx.load_from_string(network())
    model.training_info.add()
    with pytest.raises(BundleUnsupported, match="functions or training steps"):
        check_onnx(model.SerializeToString())


def test_sparse_weights_are_refused():
    values, where = numpy_helper.from_array(np.ones(1, np.float32), "s"), numpy_helper.from_array(np.array([0]), "i")
    sparse = helper.make_sparse_tensor(values, where, [4])
    model = onnx.load_from_string(network())
    model.graph.sparse_initializer.append(sparse)
    with pytest.raises(BundleUnsupported, match="dense"):
        check_onnx(model.SerializeToString())
    with pytest.raises(BundleUnsupported, match="dense"):
        check_onnx(network(helper.make_node("Constant", [], ["c"], sparse_value=sparse)))


def test_two_graphs_or_none_are_refused():
    with pytest.raises(BundleCorrupt, match="holds 2"):
        check_onnx(network() + network())
    with pytest.raises(BundleCorrupt, match="holds 0"):
        check_onnx(b"")


def test_keys_that_other_parsers_would_read_as_another_field_are_refused():
    disguised = varint((7 << 3 | 2) + (1 << 32)) + varint(0)  # truncated to 32 bits it is a second graph
    with pytest.raises(BundleCorrupt, match="cannot be parsed"):
        check_onnx(network() + disguised)


def test_every_truncation_is_a_bundle_error_or_still_a_complete_graph(tiny):
    data = tiny.model(dim=4).SerializeToString()
    whole = 0
    for end in range(len(data)):
        try:
            check_onnx(data[:end])
            whole += 1
        except BundleError:
            pass
    assert whole < 20  # only the fields after the graph may be missing


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_a_bundle_error(data):
    with pytest.raises(BundleError, match=r"model\.onnx"):
        check_onnx(data)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes_raise_nothing_but_a_bundle_error(changes):
    constant = helper.make_node("Constant", [], ["c"], value=helper.make_tensor("k", TensorProto.FLOAT16, [2], [1, 2]))
    data = bytearray(network(constant, weights=[helper.make_tensor("w", TensorProto.FLOAT, [2], [1, 2])]))
    for at, byte in changes:
        data[int(at * len(data))] = byte
    with contextlib.suppress(BundleError):
        check_onnx(bytes(data))
