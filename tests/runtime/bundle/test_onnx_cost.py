"""A network that would take gigabytes or hours is refused before an engine sees it; real ones pass."""

import json
from itertools import chain, pairwise

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.bundle.manifest import fingerprint_of, seal, sha256
from runtime.bundle.onnx_cost import MAX_NODES, check_cost
from runtime.bundle.onnx_guard import check_onnx
from runtime.errors import BundleError, BundleUnsupported
from runtime.models import default_bundle

FRAME = (32, 32, 3)
MAX_CPU_S, MAX_BYTES = 5, 2**30
HUGE = 2**31

OPEN_ALL = """
import json, re, sys, time
from pathlib import Path
from runtime.bundle import Bundle
from runtime.errors import BundleError
seen = {}
def peak_bytes():  # of this process; ru_maxrss would include what its parent held when it was started
    return 1024 * int(re.search(r"VmHWM:[^0-9]*([0-9]+)", Path("/proc/self/status").read_text())[1])
for folder in sorted(Path(sys.argv[1]).iterdir()):
    begin = time.process_time()
    try:
        Bundle.load(folder)
        said = None
    except BundleError as error:
        said = str(error)
    seen[folder.name] = [said, time.process_time() - begin, peak_bytes()]
print(json.dumps(seen))
"""


def node(operator, *inputs, to="out", **attributes):
    return helper.make_node(operator, inputs, [to], **attributes)


def row_of(operator, first, *others, steps=30, **attributes):
    """Nodes that each take what the one before it gives."""
    names = [first, *(f"{first}{at}" for at in range(steps))]
    return [node(operator, a, *others, to=b, **attributes) for a, b in pairwise(names)]


def doubled(first, axis, steps=30):
    names = [first, *(f"{first}{at}" for at in range(steps))]
    return [node("Concat", a, a, to=b, axis=axis) for a, b in pairwise(names)]


PLANES = [
    helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
    helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
]
PIXELS = [  # whole numbers that depend on the picture
    helper.make_node("Cast", ["frames"], ["whole"], to=TensorProto.INT64),
    helper.make_node("Slice", ["whole", "zeros", "ones", "axes"], ["pixels"]),
    helper.make_node("Reshape", ["pixels", "flat"], ["size"]),
    helper.make_node("Squeeze", ["size", "axis"], ["number"]),
]
PICKED = {"zeros": [0] * 4, "ones": [1] * 4, "axes": [0, 1, 2, 3], "flat": [-1], "axis": [0]}
BATCH = [node("Shape", "frames", to="shape"), node("Gather", "shape", "first", to="n")]
FIRST = {"first": [0]}


def floats(*shape):
    return np.ones(shape, np.float32)


def hostile():
    """Return name -> (nodes, weights) of networks of few bytes."""
    rows = {}
    for shape in ([HUGE], [2**40], [2**16] * 2, [2**62], [1, 2**20, 2**20], [40_000_000], [2] * 40, [10] * 12, [-5]):
        rows[f"ConstantOfShape {shape}"] = [node("ConstantOfShape", "s")], {"s": shape}
    kept = [[node("ConstantOfShape", "s", to=f"c{at}"), node("ReduceSum", f"c{at}", to=f"r{at}")] for at in range(60)]
    rows["60 constants of 100 MB"] = list(chain.from_iterable(kept)), {"s": [25_000_000]}
    sizes = [*BATCH, node("Concat", "n", "s", to="size", axis=0)]
    kept = [
        [node("ConstantOfShape", "size", to=f"c{at}"), node("ReduceSum", f"c{at}", to=f"r{at}")] for at in range(60)
    ]
    rows["60 constants that follow from the batch"] = (
        sizes + list(chain.from_iterable(kept)),
        {"s": [25_000_000], **FIRST},
    )
    for end, step in ((1.0, 1e-9), (1.0, 1e-30), (2**31, 1), (2**62, 1), (-(2**40), -1)):
        kind = np.float32 if isinstance(end, float) else np.int64
        rows[f"Range to {end} by {step}"] = (
            [node("Range", "a", "b", "c")],
            {"a": kind(0), "b": kind(end), "c": kind(step)},
        )
    for shape in ([HUGE], [50_000, 50_000], [2**40, 1], [200_000_000, 1, 1], [2**33, 32, 32, 3]):
        rows[f"Expand to {shape}"] = [node("Expand", "x", "s")], {"x": floats(1), "s": shape}
    for times in ([HUGE, 1, 1, 1], [1, 1, 1, 2**20], [1, 40, 40, 40], [2**50] * 4):
        rows[f"Tile {times}"] = [node("Tile", "frames", "t")], {"t": times}
    for operator in ("Add", "Mul", "Equal", "Max", "Pow", "Div"):
        rows[f"{operator} of a row and a column"] = (
            [node(operator, "a", "b")],
            {"a": floats(60_000, 1), "b": floats(1, 60_000)},
        )
    rows["Where of a row and a column"] = [node("Where", "c", "a", "b")], {
        "c": np.ones((60_000, 1), np.bool_), "a": floats(1, 60_000), "b": floats(1)
    }  # fmt: skip
    many = node("Expand", "i", "s", to="many")
    rows["Gather by many indices"] = (
        [many, node("Gather", "w", "many")],
        {"w": floats(4, 640), "i": [0], "s": [2_000_000]},
    )
    rows["GatherND by many indices"] = (
        [many, node("GatherND", "w", "many")],
        {"w": floats(4, 640), "i": [0], "s": [2_000_000, 1]},
    )
    for first, axis in (("frames", 0), ("frames", 3), ("frames", -2), ("w", 0), ("w", 1)):
        rows[f"Concat doubles {first} on axis {axis}"] = doubled(first, axis), {"w": floats(2, 2)}
    rows["Tile doubles"] = row_of("Tile", "frames", "t"), {"t": [1, 1, 2, 1]}
    rows["Pad grows"] = row_of("Pad", "frames", "p"), {"p": [0, 999, 999, 0] * 2}
    rows["Resize doubles"] = row_of("Resize", "frames", "", "s"), {"s": np.float32([1, 2, 2, 1])}
    rows["MatMul of a row and a column"] = [node("MatMul", "a", "b")], {"a": floats(60_000, 1), "b": floats(1, 60_000)}
    rows["Gemm of a row and a column"] = (
        [node("Gemm", "a", "b", transB=1)],
        {"a": floats(60_000, 1), "b": floats(60_000, 1)},
    )
    for pads in ([0, 2**20, 2**20, 0] * 2, [0, 0, 0, 2**40] * 2, [0, 4_000_000, 0, 0] * 2):
        rows[f"Pad by {pads}"] = [node("Pad", "frames", "p")], {"p": pads}
    for scales in ([1, 1e3, 1e3, 1], [1, 1e30, 1, 1], [1, 1, 1, 1e6], [1, float("3e9"), 1, 1]):
        rows[f"Resize by {scales}"] = [node("Resize", "frames", "", "s")], {"s": np.float32(scales)}
    for sizes in ([1, 2**20, 2**20, 3], [2**62, 1, 1, 1], [1, 20_000, 20_000, 3]):
        rows[f"Resize to {sizes}"] = [node("Resize", "frames", "", "", "s")], {"s": sizes}
    wide = [*PLANES, node("Resize", "planes", "", "s", to="wide")]
    for factor in (7, 10):
        scales = np.float32([1, 1, factor, factor])
        filters = [node("Expand", "w", "f", to="filters"), node("Conv", "wide", "filters")]
        expand = {"w": floats(1, 1, 1, 1), "f": [300, 3, 31 * factor, 31 * factor], "s": scales}
        rows[f"Conv of large filters at {factor} times"] = wide + filters, expand
    same = {"w": floats(64, 64, 3, 3), "v": floats(64, 3, 1, 1), "s": np.float32([1, 1, 20, 20])}
    deep = row_of("Conv", "maps", "w", pads=[1] * 4, steps=100)
    rows["100 large convolutions"] = [*wide, node("Conv", "wide", "v", to="maps"), *deep], same
    rows["Conv with wide pads"] = [*PLANES, node("Conv", "planes", "v", pads=[30_000] * 4)], same
    rows["Conv with one pad that fits no number"] = [*PLANES, node("Conv", "planes", "v", pads=[2**62] * 4)], same
    rows["300 products"] = row_of("MatMul", "a", "b", steps=300), {"a": floats(1500, 1500), "b": floats(1500, 1500)}
    for operator in ("MaxPool", "AveragePool"):
        pooling = node(operator, "wide", kernel_shape=[300, 300], pads=[150] * 4)
        rows[f"{operator} of large windows"] = [*wide, pooling], {"s": np.float32([1, 1, 20, 20])}
    sums = [node("Tile", "frames", "t", to="large"), *row_of("Add", "large", "w", steps=MAX_NODES - 1)]
    rows["8,000 large sums"] = sums, {"t": [1, 60, 60, 1], "w": np.uint8(1)}
    for operator, inputs in {
        "ConstantOfShape": ["size"], "Expand": ["x", "size"], "Tile": ["line", "size"], "Reshape": ["line", "size"],
        "Range": ["zero", "number", "one"], "Pad": ["line", "twice"], "Slice": ["line", "size", "size"],
        "Split": ["line", "size"],
    }.items():  # fmt: skip
        extra = {"x": floats(1), "line": floats(64), "zero": np.int64(0), "one": np.int64(1)}
        twice = [node("Concat", "size", "size", to="twice", axis=0)]
        rows[f"{operator} by a pixel"] = [*PIXELS, *twice, node(operator, *inputs)], {**PICKED, **extra}
    power = [*BATCH, node("Mul", "n", "n", to="a"), node("Mul", "a", "a", to="b"), node("Mul", "b", "b", to="size")]
    rows["Expand by a power of the batch"] = [*power, node("Expand", "x", "size")], {**FIRST, "x": floats(1)}
    seven = [
        *BATCH,
        node("Equal", "n", "seven", to="is"),
        node("Where", "is", "huge", "one", to="size"),
        node("Expand", "x", "size"),
    ]
    rows["Expand if the batch is 7"] = seven, {**FIRST, "seven": [7], "huge": [2**40], "one": [1], "x": floats(1)}
    rows["Div of a whole number by 0"] = (
        [node("Div", "a", "b", to="c"), node("Expand", "x", "c")],
        {"a": [1], "b": [0], "x": floats(1)},
    )
    rows["a Slice of nothing"] = [node("Slice", "frames", "s", "e"), node("Tile", "out", "t", to="o")], {
        "s": [0], "e": [0], "t": [HUGE, 1, 1, 1]
    }  # fmt: skip
    rows["an input that comes later"] = [node("Relu", "late"), node("Relu", "frames", to="late")], {}
    rows["an output that exists"] = [node("Relu", "frames", to="w")], {"w": floats(1)}
    rows["a weight without values"] = (
        [node("Relu", "frames")],
        {"w": TensorProto(name="w", data_type=1, dims=[2**20, 2**20])},
    )
    rows["an axis too many"] = [node("Unsqueeze", "frames", "a")], {"a": list(range(200))}
    rows["a Dropout that gives nothing"] = [helper.make_node("Dropout", ["frames"], [])], {}
    rows["a kernel that is no list"] = [node("Relu", "frames", kernel_shape=3)], {}
    rows["a MaxPool without a kernel"] = [node("MaxPool", "frames")], {}
    rows["too many nodes"] = [node("Relu", "frames", to=f"y{at}") for at in range(MAX_NODES + 1)], {}
    rows["too many fields"] = [node("Sum", *["frames"] * 600_000)], {}
    rows["too many inputs"] = [*BATCH, *(node("Sum", *["n"] * 1000, to=f"y{at}") for at in range(60))], FIRST
    rows["two inputs of one name"] = [node("Tile", "frames", "t", to="frames")], {"t": [1] * 4}
    return rows


def network(nodes, weights):
    stored = [
        each if isinstance(each, TensorProto) else numpy_helper.from_array(np.asarray(each), name)
        for name, each in weights.items()
    ]
    ends = [
        helper.make_tensor_value_info("frames", TensorProto.UINT8, ["n", *FRAME]),
        helper.make_tensor_value_info("out", TensorProto.FLOAT, None),
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


def with_model(bundle, model, folder):
    """Write the bundle with another model, sealed as its author would."""
    manifest = json.loads(json.dumps(bundle.manifest))
    manifest["files"]["model.onnx"] = {"sha256": sha256(model), "bytes": len(model)}
    manifest["fingerprint"] = fingerprint_of(manifest)
    files = {name: bundle.read(name) for name in bundle.manifest["files"]}
    for name, data in {**files, "model.onnx": model, "manifest.json": seal(manifest)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def test_80_hostile_networks_are_refused_within_5_cpu_seconds_and_1_gib_each(tiny_bundle, tmp_path, python):
    rows = hostile()
    for at, (nodes, weights) in enumerate(rows.values()):
        with_model(tiny_bundle, network(nodes, weights), tmp_path / f"{at:03}")
    seen = json.loads(python(OPEN_ALL, tmp_path, timeout_s=120).stdout)
    assert len(rows) >= 80
    opened = [name for name, (said, _, _) in zip(rows, seen.values(), strict=True) if said is None]
    assert opened == []
    for name, (said, cpu_s, peak_bytes) in zip(rows, seen.values(), strict=True):
        assert said.startswith("model.onnx"), name
        assert cpu_s < MAX_CPU_S, name
        assert peak_bytes < MAX_BYTES, name


def test_the_messages_name_the_layer_what_may_be_and_what_to_do():
    for key, layer in (("Tile doubles", r"frames15 \(Tile\)"), ("Resize by [1, 1e3, 1e3, 1]", r"out \(Resize\)")):
        rows = {name.replace("1000.0", "1e3"): row for name, row in hostile().items()}
        with pytest.raises(
            BundleUnsupported, match=rf"at most .* bytes in one tensor .* the layer {layer} brings .*; export"
        ):
            check_cost(network(*rows[key]), FRAME)
    with pytest.raises(BundleUnsupported, match=r"at most 500,000,000,000 multiplications for 1 frame of 32 × 32"):
        check_cost(network(*hostile()["100 large convolutions"]), FRAME)
    with pytest.raises(
        BundleUnsupported,
        match=r"must follow from the file for any number of frames, but for 1 the layer out \(Tile\) has none",
    ):
        check_cost(network(*hostile()["Tile by a pixel"]), FRAME)


def test_our_own_networks_pass(tiny, grey_bundle, euclidean_bundle):
    for bundle in (default_bundle(), tiny.bundle(), grey_bundle, euclidean_bundle):
        data = bundle.read("model.onnx")
        check_onnx(data)
        check_cost(data, bundle.preprocess.shape)
    with pytest.raises(BundleError, match="must follow from the file"):
        check_cost(tiny.bundle().read("model.onnx"), (33, 40, 3))
