"""The model.onnx of a bundle, exported again, answers as the bundle does: no colour, crop or metric is lost."""

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
from onnx import TensorProto, helper, numpy_helper

from exporters.errors import SourceError
from exporters.onnx.session import open_session
from exporters.sources.onnx_source import open_onnx
from exporters.targets import onnx_cpu
from exporters.targets.request import Request
from runtime.bundle import Artifact, Bundle
from runtime.engines import agreement
from runtime.models import default_bundle
from runtime.preprocess import CROPS, RESAMPLERS, Preprocess


def check_same(path, bundle, file="model.onnx"):
    """Frames whose channels differ strongly would show red and blue swapped."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (16, *bundle.preprocess.shape), np.uint8)
    frames[:8, ..., 0] //= 4
    frames = np.concatenate([frames, bundle.golden()[0]])
    source = open_onnx(path)
    expected = open_session(bundle.read(file)).run(None, {"frames": frames})[0]
    got = open_session(source.to_onnx()).run(None, {"frames": frames})[0]
    assert agreement(got, expected).min() >= 0.9999
    assert agreement(source.embed(frames), expected).min() >= 0.9999
    assert (source.preprocess, source.metric, source.centres) == (bundle.preprocess, bundle.metric, False)


@pytest.mark.parametrize("alone", [False, True])
def test_the_default_bundle_exported_again_answers_alike(tmp_path, alone):
    bundle = default_bundle()
    path = bundle.path / "model.onnx"
    check_same(shutil.copy(path, tmp_path / "taken.onnx") if alone else path, bundle)


def any_network(folder, *, colour, size, dtype, layout, seed):
    """Someone's ONNX file: one convolution and a global average, for these colours."""
    rng, channels = np.random.default_rng(seed), 1 if colour == "grey" else 3
    sides = ["n", channels, *size] if layout == "NCHW" else ["n", *size, channels]
    planar = ["planar" if layout == "NHWC" else "float", "kernel", "bias"]
    nodes = [
        helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT),
        *([helper.make_node("Transpose", ["float"], ["planar"], perm=[0, 3, 1, 2])] if layout == "NHWC" else []),
        helper.make_node("Conv", planar, ["maps"]),
        helper.make_node("Tanh", ["maps"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["y"]),
    ]
    scale = 1 / 128 if dtype == TensorProto.UINT8 else 1
    weights = {"kernel": scale * rng.standard_normal((8, channels, 3, 3)), "bias": rng.standard_normal(8)}
    graph = helper.make_graph(
        nodes,
        "any",
        [helper.make_tensor_value_info("x", dtype, sides)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8])],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, folder / "any.onnx")
    return folder / "any.onnx"


@settings(max_examples=60, deadline=None)
@given(
    colour=st.sampled_from(["rgb", "bgr", "grey"]),
    size=st.sampled_from([(16, 16), (20, 12), (9, 31)]),
    dtype=st.sampled_from([TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8]),
    layout=st.sampled_from(["NCHW", "NHWC"]),
    metric=st.sampled_from(["cosine", "euclidean"]),
    crop=st.sampled_from([None, *CROPS]),
    resampler=st.sampled_from(RESAMPLERS),
    centred=st.booleans(),
    place=st.sampled_from(["in the bundle", "taken out", "reduced precision"]),
    seed=st.integers(0, 99),
)
def test_the_file_of_any_bundle_exported_again_answers_alike(
    colour, size, dtype, layout, metric, crop, resampler, centred, place, seed
):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = any_network(folder, colour=colour, size=size, dtype=dtype, layout=layout, seed=seed)
        normalisation = {} if dtype == TensorProto.UINT8 else {"mean": [0.4], "std": [0.2]}
        source = open_onnx(path, colour=colour, metric=metric, crop=crop, resampler=resampler, **normalisation)
        assert source.preprocess.crop == crop or (
            crop is None and (source.preprocess.crop == "square") == (size == (16, 16))
        )
        if centred:
            source = source.centred(np.random.default_rng(seed).standard_normal(8).astype(np.float32) / 8)
        model = source.to_onnx()
        half = onnx_cpu.build(model, "fp16", Request())
        golden = np.random.default_rng(seed).integers(0, 256, (4, *source.preprocess.shape), np.uint8)
        bundle = Bundle.build(
            name="any",
            description="",
            preprocess=source.preprocess,
            metric=metric,
            model=model,
            golden_frames=golden,
            golden_embeddings=source.embed(golden),
            extra=half.files,
            artifacts=(Artifact("onnx", "fp16", half.file, 0.99),),
        ).save(folder / "any.edgefs")
        file = half.file if place == "reduced precision" else "model.onnx"
        path = bundle.path / file
        check_same(shutil.copy(path, folder / "taken.onnx") if place == "taken out" else path, bundle, file)


def test_a_reduced_precision_without_metadata_is_found_by_the_bundle_that_it_lies_in(tmp_path):
    """ONNX Runtime's quantiser, and tools of other people, may drop the metadata."""
    bundle = default_bundle()
    bare = onnx.load_from_string(bundle.read("model.onnx"))
    del bare.metadata_props[:]
    frames, embeddings = bundle.golden()
    made = Bundle.build(
        name="bare",
        description="",
        preprocess=bundle.preprocess,
        metric=bundle.metric,
        model=bundle.read("model.onnx"),
        golden_frames=frames,
        golden_embeddings=embeddings,
        extra={"onnx/int8/model.onnx": bare.SerializeToString()},
        artifacts=(Artifact("onnx", "int8", "onnx/int8/model.onnx", 0.9),),
    ).save(tmp_path / "bare.edgefs")
    check_same(made.path / "onnx/int8/model.onnx", made, "onnx/int8/model.onnx")


@pytest.mark.parametrize("text", [json.dumps({"name": "a web app"}), "[]", "no JSON"])
def test_a_manifest_of_another_program_is_no_bundle(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    path = shutil.copy(default_bundle().path / "model.onnx", tmp_path / "model.onnx")
    assert open_onnx(path).preprocess == default_bundle().preprocess


@pytest.mark.torch
@pytest.mark.parametrize("colour", ["rgb", "bgr", "grey"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_every_colour_order_and_metric_survives(tmp_path, colour, metric):
    torch = pytest.importorskip("torch")
    from exporters.onnx.graph import EmbedderGraph
    from exporters.pack import pack

    channels = 1 if colour == "grey" else 3
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(channels, 8, 3, 2), torch.nn.ReLU(), torch.nn.Flatten())
    preprocess = Preprocess((20, 12), channels, crop="stretch", resampler="area")
    graph = EmbedderGraph(network, mean=[0.3] * channels, std=[0.2] * channels, colour=colour, metric=metric)
    golden = np.random.default_rng(1).integers(0, 256, (2, *preprocess.shape), np.uint8)
    bundle = pack(graph, preprocess, name="any", description="", golden_frames=golden).save(tmp_path / "any.edgefs")
    check_same(bundle.path / "model.onnx", bundle)


def test_an_option_that_the_file_already_answers_is_refused():
    with pytest.raises(SourceError, match="leave out --mean"):
        open_onnx(default_bundle().path / "model.onnx", mean=[0.5], std=[0.5])
