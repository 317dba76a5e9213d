"""The guard accepts an OpenVINO IR that is a plain network of bounded size and refuses everything else."""

import json
import math
import random
import re

import numpy as np
import pytest

from runtime.bundle import Artifact, Bundle
from runtime.bundle.openvino_guard import MAX_XML_BYTES, check_ir
from runtime.errors import BundleCorrupt, BundleError, BundleUnsupported

FRAME = (32, 32, 3)
FRAMES = "?,32,32,3"
MAX_CPU_S, MAX_BYTES = 5, 2**30
HUGE = 2**31
WINDOW = {"strides": "1,1", "dilations": "1,1", "pads_begin": "0,0", "pads_end": "0,0"}

CHECK_ALL = """
import json, re, sys, time
from pathlib import Path
from runtime.bundle.openvino_guard import check_ir
from runtime.errors import BundleError
seen = {}
def peak_bytes():  # of this process; ru_maxrss would include what its parent held when it was started
    return 1024 * int(re.search(r"VmHWM:[^0-9]*([0-9]+)", Path("/proc/self/status").read_text())[1])
for file in sorted(Path(sys.argv[1]).glob("*.xml")):
    begin = time.process_time()
    try:
        check_ir(file.read_bytes(), file.with_suffix(".bin").read_bytes(), (32, 32, 3))
        said = None
    except BundleError as error:
        said = str(error)
    seen[file.stem] = [said, time.process_time() - begin, peak_bytes()]
print(json.dumps(seen))
"""


class Ir:
    """Writes an IR. `stated` are the shapes of the outputs of a layer, which may differ from what the layer gives."""

    def __init__(self, frames=FRAMES, element="u8"):
        self.layers, self.edges, self.bin, self.shapes = [], [], b"", {}
        self.add("Parameter", [], [[-1, 32, 32, 3]], shape=frames, element_type=element)

    def add(self, kind, inputs, stated, version="opset1", **data):
        number, ports = len(self.layers), len(inputs)
        for at, (layer, port) in enumerate(inputs):
            self.edges.append(f'<edge from-layer="{layer}" from-port="{port}" to-layer="{number}" to-port="{at}"/>')
        taken = "".join(f'<port id="{at}"/>' for at in range(ports))
        given = "".join(
            f'<port id="{ports + at}">' + "".join(f"<dim>{size}</dim>" for size in shape) + "</port>"
            for at, shape in enumerate(stated)
        )
        values = "".join(f' {key}="{value}"' for key, value in data.items())
        self.layers.append(
            f'<layer id="{number}" name="{kind}{number}" type="{kind}" version="{version}"><data{values}/>'
            f"<input>{taken}</input><output>{given}</output></layer>"
        )
        return number, ports

    def const(self, values, dtype=np.int64, shape=None):
        array = np.asarray(values, dtype)
        name = {"int64": "i64", "float32": "f32"}[array.dtype.name]
        shape, offset = array.shape if shape is None else shape, len(self.bin)
        self.bin += array.tobytes()
        text = ",".join(map(str, shape))
        return self.add("Const", [], [shape], element_type=name, shape=text, offset=offset, size=array.nbytes)

    def chain(self, kind, first, steps, shapes, others=(), **data):
        """Add layers that each take what the one before it gives; others are further inputs, None is the same again."""
        for _, shape in zip(range(steps), shapes, strict=False):
            first = self.add(kind, [first, *(each or first for each in others)], [shape], **data)
        return first

    def files(self):
        layers, edges = "".join(self.layers), "".join(self.edges)
        xml = f'<?xml version="1.0"?><net name="n" version="11"><layers>{layers}</layers><edges>{edges}</edges></net>'
        return xml.encode(), self.bin


X = (0, 0)  # the frames


def doubled(shape, axis):
    while True:
        shape = [size * 2 if at == axis else size for at, size in enumerate(shape)]
        yield shape


def same(shape):
    while True:
        yield shape


def one(kind, stated, *constants, first=X, version="opset1", **data):
    ir = Ir()
    ir.add(kind, [first, *(ir.const(*np.atleast_1d([each])) for each in constants)], [stated], version, **data)
    return ir


def floats(*shape):
    return np.ones(shape, np.float32)


def hostile():
    """Return name -> the IR of few bytes that asks for much, states what is wrong, or hides its sizes."""
    table = {}

    def row(name, ir=None, **options):
        table[name] = ir or Ir(**options)
        return table[name]

    for honest in (True, False):  # the sizes that the ports state are true, or small
        note = "" if honest else ", stated small"

        def stated(*shape, honest=honest):
            return list(shape) if honest else [1] * len(shape)

        for shape in ([HUGE], [2**40], [2**16, 2**16], [2**62], [40_000_000], [200_000_000, 1, 1], [10] * 12):
            ir = row(f"Broadcast to {shape}{note}")
            ir.add("Broadcast", [ir.const(1.0, np.float32), ir.const(shape)], [stated(*shape)], mode="numpy")
        for times in ([1, 1, 1, 2**20], [1, 40, 40, 40], [HUGE, 1, 1, 1], [2**50] * 4):
            ir = row(f"Tile {times}{note}")
            shape = [-1, *(math.prod(pair) for pair in zip(FRAME, times[1:], strict=True))]
            ir.add("Tile", [X, ir.const(times)], [shape if honest else [-1, *FRAME]])
        for axis in (0, 3):
            ir = row(f"Concat doubles axis {axis}{note}")
            shapes = doubled([-1, *FRAME], axis) if honest and axis else same([-1, *FRAME])
            ir.chain("Concat", X, 30, shapes, (None,), axis=axis)
        for kind in ("Add", "Multiply", "Maximum", "Power", "Equal", "Select"):
            ir = row(f"{kind} of a row and a column{note}")
            a, b = ir.const(floats(60_000, 1), np.float32), ir.const(floats(1, 60_000), np.float32)
            mask = [ir.add("Greater", [a, a], [[60_000, 1]])] if kind == "Select" else []
            ir.add(kind, [*mask, a, b], [stated(60_000, 60_000)], auto_broadcast="numpy")
        ir = row(f"MatMul of a row and a column{note}")
        a, b = ir.const(floats(60_000, 1), np.float32), ir.const(floats(60_000, 1), np.float32)
        ir.add("MatMul", [a, b], [stated(60_000, 60_000)], transpose_a="false", transpose_b="true")
        for pads in ([0, 2**20, 2**20, 0], [0, 0, 0, 2**40], [0, 4_000_000, 0, 0]):
            ir = row(f"Pad by {pads}{note}")
            p = ir.const(pads)
            shape = [-1, *(size + 2 * each for size, each in zip(FRAME, pads[1:], strict=True))]
            ir.add("Pad", [X, p, p], [shape if honest else [-1, *FRAME]], pad_mode="reflect")
        for size in (2**20, 2**62, 20_000):
            ir = row(f"Interpolate to {size}{note}")
            more = {"mode": "nearest", "shape_calculation_mode": "sizes", "version": "opset11"}
            ends = [X, ir.const([size, size]), ir.const([1, 2])]
            ir.add("Interpolate", ends, [[-1, size, size, 3] if honest else [-1, *FRAME]], **more)
        ir = row(f"Gather by many indices{note}")
        table_of, index = ir.const(floats(4, 640), np.float32), ir.const([0])
        many = ir.add("Broadcast", [index, ir.const([2_000_000])], [stated(2_000_000)], mode="numpy")
        ir.add("Gather", [table_of, many, ir.const(0)], [stated(2_000_000, 640)], version="opset8", batch_dims=0)
        ir = row(f"Range of 2^40{note}")
        ends = [ir.const(each) for each in (0, 2**40, 1)]
        ir.add("Range", ends, [stated(2**40)], version="opset4", output_type="i64")
        ir = row(f"Convolution with wide pads{note}")
        floating = ir.add("Convert", [X], [[-1, *FRAME]], destination_type="f32")
        window = {**WINDOW, "pads_begin": "30000,30000", "pads_end": "30000,30000"}
        wide = [-1, 4, 60_032 if honest else 32, 60_003 if honest else 3]
        ir.add("Convolution", [floating, ir.const(floats(4, 32, 1, 1), np.float32)], [wide], **window)

    ir = row("300 products")
    a = ir.const(1.0, np.float32)
    square = ir.add("Broadcast", [a, ir.const([1500, 1500])], [[1500, 1500]], mode="numpy")
    ir.chain("MatMul", square, 300, same([1500, 1500]), (square,), transpose_a="false", transpose_b="false")
    for kind, weight in (("Convolution", (32, 32, 3, 3)), ("GroupConvolution", (1, 32, 32, 3, 3))):
        ir = row(f"150 of {kind}")
        floating = ir.add("Convert", [X], [[-1, *FRAME]], destination_type="f32")
        large = ir.add("Tile", [floating, ir.const([1, 1, 20, 250])], [[-1, 32, 640, 750]])
        window = {**WINDOW, "pads_begin": "1,1", "pads_end": "1,1"}
        ir.chain(kind, large, 150, same([-1, 32, 640, 750]), (ir.const(floats(*weight), np.float32),), **window)
    ir = row("60 constants of 100 MB")
    for _ in range(60):
        ir.add("Broadcast", [ir.const(1.0, np.float32), ir.const([25_000_000])], [[25_000_000]], mode="numpy")
    ir = row("constants that share their bytes")
    ir.bin = bytes(40_000)
    for _ in range(500):
        ir.add("Const", [], [[10_000]], element_type="f32", shape="10000", offset=0, size=40_000)
    ir = row("a size divided towards minus infinity")  # -1 // 2 is -1, and 1 + 1 * 2^40; rounded to 0 it would be 1
    half = ir.add("Divide", [ir.const([-1]), ir.const([2])], [[1]])
    large = ir.add("Multiply", [half, ir.const([-(2**40)])], [[1]])
    size = ir.add("Add", [large, ir.const([1])], [[1]])
    ir.add("Broadcast", [ir.const(1.0, np.float32), size], [[1]], mode="numpy")
    ir = row("a size that depends on a pixel")
    whole = ir.add("Convert", [X], [[-1, *FRAME]], destination_type="i64")
    pixel = ir.add("ReduceMax", [whole, ir.const([0, 1, 2, 3])], [[]], keep_dims="false")
    ir.add("Broadcast", [ir.const(1.0, np.float32), pixel], [[-1]], mode="numpy")
    ir = row("a size that follows from a power of the batch")
    number = ir.add("Gather", [ir.add("ShapeOf", [X], [[4]], "opset3", output_type="i64"), ir.const([0]), ir.const(0)],
                    [[1]], "opset8")  # fmt: skip
    for _ in range(4):
        number = ir.add("Multiply", [number, number], [[1]])
    ir.add("Broadcast", [ir.const(1.0, np.float32), number], [[-1]], mode="numpy")
    ir = row("a Split into fewer parts than are stated")
    ir.add("Split", [X, ir.const(1)], [[-1, 16, 32, 3], [-1, 16, 32, 3]], num_splits=1)
    for frames in ("?,32,32,?", "?,?,32,3", "?,64,64,3", "1..9,32,32,3", "...", "", "?,32,3_2,3"):
        row(f"the input {frames!r}", frames=frames)
    row("an input of floats", element="f32")
    row("two inputs").add("Parameter", [], [[-1, *FRAME]], shape=FRAMES, element_type="u8")
    row("a wrong size").add("ReLU", [X], [[-1, 32, 32, 4]])
    row("a wrong rank").add("ReLU", [X], [[-1, 32, 32]])
    row("a size that is no number").add("ReLU", [X], [[-1, 32, "3_2", 3]])
    row("an input that comes later").add("ReLU", [(2, 1)], [[-1, *FRAME]])
    row("an input that is missing").add("ReLU", [(9, 9)], [[-1, *FRAME]])
    row("a layer of another kind").add("NonMaxSuppression", [X], [[1]])
    row("a Gather of an old opset", one("Gather", [-1, *FRAME], [0], 1, version="opset7"))
    row("a Broadcast by its axes", one("Broadcast", [1], [1], mode="explicit"))
    row("an elementwise layer of another rule", one("Add", [-1, *FRAME], 1, auto_broadcast="pdpd"))
    row("a ShapeOf of 32 bits").add("ShapeOf", [X], [[4]], "opset3", output_type="i32")
    for key, text in {"offset": 'offset="99"', "size": 'size="4"', "shape": 'shape="1000000000000"'}.items():
        ir = row(f"a constant with a wrong {key}")
        ir.const([1])
        ir.layers[-1] = re.sub(rf'\b{key}="[^"]*"', text, ir.layers[-1])
    ir = row("two layers of one number")
    ir.layers.append(ir.layers[0])
    ir = row("two edges to one port")
    ir.add("ReLU", [X], [[-1, *FRAME]])
    ir.edges.append('<edge from-layer="1" from-port="1" to-layer="1" to-port="0"/>')
    row("too many layers").chain("ReLU", X, 8001, same([-1, *FRAME]))
    row("two lists of layers").layers.append("</layers><layers>")
    row("10 MB of XML").layers.append("<a/>" * (MAX_XML_BYTES // 4))
    ir = row("2 million elements")
    ir.layers.append("<a/>" * (MAX_XML_BYTES // 4 - 1000))
    ir.add("Tile", [X], [[1]])
    row("a deep tree").layers.append("<a>" * 1_000_000 + "</a>" * 1_000_000)
    ir = row("a constant that states another shape")
    ir.const(floats(2, 3, 2, 1, 1), np.float32)
    ir.layers[-1] = ir.layers[-1].replace("<dim>2</dim><dim>3</dim>", "<dim>3</dim><dim>2</dim>")
    return table


def test_95_hostile_irs_are_refused_within_5_cpu_seconds_and_1_gib_each(tmp_path, python):
    table = hostile()
    for at, ir in enumerate(table.values()):
        for suffix, data in zip((".xml", ".bin"), ir.files(), strict=True):
            (tmp_path / f"{at:03}{suffix}").write_bytes(data)
    seen = json.loads(python(CHECK_ALL, tmp_path, timeout_s=120).stdout)
    assert len(table) >= 95
    assert [name for name, (said, _, _) in zip(table, seen.values(), strict=True) if said is None] == []
    for name, (said, cpu_s, peak_bytes) in zip(table, seen.values(), strict=True):
        assert said.startswith("model.xml"), name
        assert cpu_s < MAX_CPU_S, name
        assert peak_bytes < MAX_BYTES, name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Tile [1, 1, 1, 1048576]", r"at most 128,000,128 bytes in one tensor .* Tile2 \(Tile\) brings .*; export"),
        ("150 of Convolution", r"at most 500,000,000,000 multiplications for 1 frame .*; export a smaller network"),
        ("60 constants of 100 MB", "bytes at the same time"),
        ("Tile [1, 40, 40, 40], stated small", r"states the shape \[-1, 32, 32, 3\] .* has \[1, 1280, 1280, 120\]"),
        ("a size that depends on a pixel", "its size would depend on the picture"),
        ("a layer of another kind", "NonMaxSuppression1 is NonMaxSuppression, which is not on the list"),
        ("the input '?,?,32,3'", r"its input must be u8 of \?,32,32,3, but is"),
        ("constants that share their bytes", "more than 4 times the bytes"),
    ],
)  # fmt: skip
def test_the_message_names_the_layer_what_may_be_and_what_to_do(name, message):
    with pytest.raises(BundleUnsupported, match=message):
        check_ir(*hostile()[name].files(), FRAME)


def test_a_bundle_with_a_hostile_ir_is_not_built(tiny_bundle):
    frames, embeddings = tiny_bundle.golden()
    shape = tiny_bundle.preprocess.shape
    ir = Ir(frames=",".join(["?", *map(str, shape)]))
    ir.layers[0] = re.sub(r"<dim>.*</dim>", "".join(f"<dim>{size}</dim>" for size in (-1, *shape)), ir.layers[0])
    for file in ("ov/model.xml", "ov/model.ir"):  # OpenVINO reads it whatever its name is
        for large in (False, True):
            if large:
                ir.add("Broadcast", [ir.const(1.0, np.float32), ir.const([2**40])], [[1]], mode="numpy")
            xml, weights = ir.files()
            facts = {"name": "n", "description": "", "preprocess": tiny_bundle.preprocess, "metric": "cosine"}
            files = {file: xml, f"{file.removesuffix('.xml')}.bin": weights}
            facts |= {"golden_frames": frames, "golden_embeddings": embeddings, "extra": files}
            facts |= {"model": tiny_bundle.read("model.onnx"), "artifacts": (Artifact("openvino", "fp32", file),)}
            if not large and len(ir.layers) == 1:
                Bundle.build(**facts)
            else:
                with pytest.raises(BundleUnsupported, match="Broadcast"):
                    Bundle.build(**facts)


def test_changed_bytes_give_no_other_error():
    rng, ir = random.Random(7), hostile()["150 of GroupConvolution"]
    xml, weights = ir.files()
    for _ in range(400):
        changed = bytearray(xml[:3000] + xml[-2000:] if rng.random() < 0.1 else xml)
        for _ in range(rng.randint(1, 4)):
            changed[rng.randrange(len(changed))] = rng.choice(b'0123456789-"<>/ ,?xa\xff')
        with pytest.raises(BundleError):
            check_ir(bytes(changed), weights, FRAME)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda xml: xml.replace(b'"ReLU"', b'"If"'), BundleUnsupported, "has If; export it without"),
        (lambda xml: xml.replace(b'"ReLU"', b'"TensorIterator"'), BundleUnsupported, "has TensorIterator"),
        (lambda xml: xml.replace(b'"opset1"', b'"extension"'), BundleUnsupported, "has Parameter"),
        (lambda xml: xml.replace(b'"opset1"', b'""'), BundleUnsupported, "has Parameter"),
        (lambda xml: b'<!DOCTYPE net [<!ENTITY a "b">]>' + xml, BundleUnsupported, "document type"),
        (lambda xml: xml.decode().encode("utf-16"), BundleUnsupported, "document type"),
        (lambda _: b"<net></net>", BundleCorrupt, "no <net> of layers"),
        (lambda xml: xml[:40], BundleCorrupt, "is not XML"),
        (lambda _: b"", BundleCorrupt, "is not XML"),
    ],
)
def test_anything_else_is_refused_with_the_reason(change, kind, message):
    ir = Ir()
    ir.add("ReLU", [X], [[-1, *FRAME]])
    xml, weights = ir.files()
    check_ir(xml, weights, FRAME)
    with pytest.raises(kind, match=message):
        check_ir(change(xml), weights, FRAME)
