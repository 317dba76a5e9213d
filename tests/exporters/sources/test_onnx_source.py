"""A user's own ONNX file, of any layout and type, gives the same embeddings with our head and tail around it."""

import numpy as np
import pytest

pytestmark = pytest.mark.torch

onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")

from onnx import TensorProto  # noqa: E402

from exporters.errors import ExportError, SourceError  # noqa: E402
from exporters.onnx.session import open_session  # noqa: E402
from exporters.sources.onnx_source import open_onnx  # noqa: E402
from runtime.engines import agreement  # noqa: E402

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def answers(source, frames):
    return open_session(source.to_onnx()).run(None, {"frames": frames})[0]


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("colour", ["rgb", "bgr"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_wrapped_file_answers_as_the_file_fed_from_numpy(user_onnx, pictures, layout, colour, metric):
    source = open_onnx(user_onnx(layout=layout), **IMAGENET, colour=colour, metric=metric)
    assert agreement(answers(source, pictures.frames), source.embed(pictures.frames)).min() > 0.99999


@pytest.mark.parametrize(
    "options", [{"end": "pooled"}, {"opset": 11}, {"opset": 17}, {"batch": 1}, {"dtype": TensorProto.FLOAT16}]
)
def test_other_shapes_opsets_batches_and_types(user_onnx, pictures, options):
    source = open_onnx(user_onnx(**options), **IMAGENET)
    assert agreement(answers(source, pictures.frames), source.embed(pictures.frames)).min() > 0.9999


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_uint8_file_gets_the_pixels_unchanged(user_onnx, pictures, layout):
    source = open_onnx(user_onnx(dtype=TensorProto.UINT8, layout=layout))
    assert agreement(answers(source, pictures.frames), source.embed(pictures.frames)).min() > 0.99999
    with pytest.raises(SourceError, match="drop --mean"):
        open_onnx(user_onnx(dtype=TensorProto.UINT8), **IMAGENET)


def test_the_base_mean_is_subtracted_in_the_graph(user_onnx, pictures):
    source = open_onnx(user_onnx(), **IMAGENET)
    source = source.centred(source.features(pictures.frames).mean(axis=0))
    got = answers(source, pictures.frames)
    assert agreement(got, source.embed(pictures.frames)).min() > 0.9999
    assert np.abs(np.linalg.norm(got, axis=1) - 1).max() < 1e-5


def test_the_wrapped_file_states_its_opset_once(user_onnx, onnx_of):
    """compose.merge_models lists it once per part, and ONNX Runtime's quantiser refuses that."""
    proto = onnx_of(open_onnx(user_onnx(), **IMAGENET).to_onnx())
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 18)]


def test_grey_files_want_grey_frames(user_onnx, pictures):
    source = open_onnx(user_onnx(channels=1), mean=(0.5,), std=(0.5,), colour="grey")
    frames = pictures.frames[..., :1].copy()
    assert agreement(answers(source, frames), source.embed(frames)).min() > 0.99999
    with pytest.raises(SourceError, match="--colour rgb does not fit"):
        open_onnx(user_onnx(channels=1), mean=(0.5,), std=(0.5,))


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        ({"external": True}, IMAGENET, "external data"),
        ({"nodes": ["act"]}, IMAGENET, r"outputs \['y', 'act'\]; name the embedding"),
        ({"size": "s"}, IMAGENET, "--size N"),
        ({}, {**IMAGENET, "size": 64}, "contradicts"),
        ({}, {}, "--mean and --std"),
        ({}, {"mean": (0.5, 0.5), "std": (1.0,)}, "1 or 3 numbers"),
        ({"channels": 4}, IMAGENET, "1 or 3 channels"),
        ({"dtype": TensorProto.INT64}, IMAGENET, "float32, float16 or uint8"),
        ({"end": "topk"}, IMAGENET, "TopK"),
    ],
)
def test_what_cannot_be_an_embedder_is_refused_with_the_reason(user_onnx, make, options, message):
    with pytest.raises(SourceError, match=message):
        open_onnx(user_onnx(**make), **options)


def test_a_file_without_an_input_is_refused(user_onnx):
    path = user_onnx()
    model = onnx.load(path)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((1, 3, 32, 32), np.float32), "x"))
    del model.graph.input[:]
    onnx.save(model, path)
    with pytest.raises(SourceError, match=r"has inputs \[\]"):
        open_onnx(path, **IMAGENET)


def test_a_batch_size_fixed_in_a_reshape_is_found(user_onnx, pictures):
    source = open_onnx(user_onnx(end="fixed"), **IMAGENET)
    with pytest.raises(ExportError, match=r"any batch size|own embedding|any number"):
        source.to_onnx()
    with pytest.raises(SourceError, match="any number of frames"):
        source.features(pictures.frames)
