"""The model.onnx of a bundle, exported again, answers as the bundle does: no colour, crop or metric is lost."""

import shutil

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from exporters.errors import SourceError
from exporters.onnx.session import open_session
from exporters.sources.onnx_source import open_onnx
from runtime.engines import agreement
from runtime.models import default_bundle
from runtime.preprocess import Preprocess


def check_same(path, bundle):
    """Frames whose channels differ strongly would show red and blue swapped."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (16, *bundle.preprocess.shape), np.uint8)
    frames[:8, ..., 0] //= 4
    frames = np.concatenate([frames, bundle.golden()[0]])
    source = open_onnx(path)
    expected = open_session(bundle.read("model.onnx")).run(None, {"frames": frames})[0]
    got = open_session(source.to_onnx()).run(None, {"frames": frames})[0]
    assert agreement(got, expected).min() >= 0.9999
    assert agreement(source.embed(frames), expected).min() >= 0.9999
    assert (source.preprocess, source.metric, source.centres) == (bundle.preprocess, bundle.metric, False)


@pytest.mark.parametrize("alone", [False, True])
def test_the_default_bundle_exported_again_answers_alike(tmp_path, alone):
    bundle = default_bundle()
    path = bundle.path / "model.onnx"
    check_same(shutil.copy(path, tmp_path / "taken.onnx") if alone else path, bundle)


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
    with pytest.raises(SourceError, match="leave out --mean, --std, --size"):
        open_onnx(default_bundle().path / "model.onnx", mean=[0.5], std=[0.5])
