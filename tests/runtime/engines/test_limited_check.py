"""A model that asks for too much memory or time ends the child process alone."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.bundle import Bundle
from runtime.engines.limited_check import check
from runtime.errors import BundleUnsupported

pytest.importorskip("resource")


def hostile(tiny_bundle, path, *nodes, weights=()):
    """The tiny bundle with nodes that compute something large from nothing and add it to the embeddings."""
    model = onnx.load_from_string(tiny_bundle.read("model.onnx"))
    model.graph.node[-1].output[0] = "sound"
    model.graph.node.extend(nodes)
    model.graph.node.append(helper.make_node("ReduceMax", ["large"], ["one"], keepdims=0))
    model.graph.node.append(helper.make_node("Mul", ["one", "nothing"], ["zero"]))
    model.graph.node.append(helper.make_node("Add", ["sound", "zero"], ["embeddings"]))
    weights = {"nothing": np.array(0, np.float32), **dict(weights)}
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    frames, embeddings = tiny_bundle.golden()
    return (
        Bundle.build(
            name="hostile",
            description="",
            preprocess=tiny_bundle.preprocess,
            metric="cosine",
            model=model.SerializeToString(),
            golden_frames=frames,
            golden_embeddings=embeddings,
        )
        .save(path)
        .path
    )


def test_a_sound_bundle_passes(tiny_bundle, tmp_path):
    check(tiny_bundle.save(tmp_path / "a.edgefs").path)


def test_a_damaged_bundle_is_refused_with_the_reason(tiny_bundle_dir):
    (tiny_bundle_dir / "model.onnx").write_bytes(b"x")
    with pytest.raises(BundleUnsupported, match=r"must be a regular file|must match its sha256"):
        check(tiny_bundle_dir)


def test_large_constants_end_the_child_alone(tiny_bundle, tmp_path):
    value = helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0])
    node = helper.make_node("ConstantOfShape", ["shape"], ["large"], value=value)
    small = hostile(tiny_bundle, tmp_path / "small.edgefs", node, weights={"shape": np.array([1 << 10])})
    check(small)
    large = hostile(tiny_bundle, tmp_path / "large.edgefs", node, weights={"shape": np.array([30_000_000])})
    with pytest.raises(BundleUnsupported, match=r"did not pass the check.*|must be usable with 256 MiB") as error:
        check(large, memory_bytes=256 << 20)
    check(small, memory_bytes=256 << 20)
    assert any(part in str(error.value) for part in ("memory", "bad_alloc", "ended with status"))


def test_a_check_that_takes_too_long_ends_the_child_alone(tiny_bundle, tmp_path):
    shape = np.array([1 << 11, 1 << 11])
    value = helper.make_tensor("v", TensorProto.FLOAT, [1], [0.001])
    nodes = [helper.make_node("ConstantOfShape", ["shape"], ["m0"], value=value)]
    nodes += [helper.make_node("MatMul", [f"m{i}", f"m{i}"], [f"m{i + 1}"]) for i in range(28)]
    nodes.append(helper.make_node("Sin", ["m28"], ["large"]))
    path = hostile(tiny_bundle, tmp_path / "a.edgefs", *nodes, weights={"shape": shape})
    with pytest.raises(BundleUnsupported, match=r"must be usable with 1,024 MiB and 2 CPU seconds"):
        check(path, cpu_s=2)
