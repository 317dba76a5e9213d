"""A map or tokens become one vector, the same in numpy and in the exported graph."""

import numpy as np
import pytest

pytest.importorskip("onnx")

from exporters.errors import SourceError
from exporters.onnx.session import open_session
from exporters.sources.onnx_pool import pooled
from exporters.sources.onnx_source import open_onnx
from runtime.engines import agreement

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.mark.parametrize(("end", "pool"), [
    ("map", "mean"), ("map", "gem"), ("tokens", "mean"), ("tokens", "gem"), ("tokens", "cls"), ("pooled", "mean"),
])  # fmt: skip
@pytest.mark.parametrize("opset", [13, 18])
def test_the_graph_pools_as_numpy_does(user_onnx, pictures, end, pool, opset):
    source = open_onnx(user_onnx(end=end, opset=opset), **IMAGENET, pool=pool)
    got = open_session(source.to_onnx()).run(None, {"frames": pictures.frames})[0]
    assert got.shape[1] == 8
    assert agreement(got, source.embed(pictures.frames)).min() > 0.99999


def test_mean_of_a_map_is_what_the_network_itself_would_pool(user_onnx, pictures):
    own = open_onnx(user_onnx(end="flat"), **IMAGENET).features(pictures.frames)
    np.testing.assert_allclose(
        open_onnx(user_onnx(end="map"), **IMAGENET, pool="mean").features(pictures.frames), own, atol=1e-5
    )


def test_places_are_the_last_two_axes_or_the_middle_ones():
    rows = np.random.default_rng(0).random((2, 5, 6, 7), np.float32)
    np.testing.assert_allclose(pooled(rows, "mean", planar=True), rows.mean((2, 3)), rtol=1e-5)
    np.testing.assert_allclose(pooled(rows, "mean", planar=False), rows.mean((1, 2)), rtol=1e-5)
    assert (pooled(rows, "gem", planar=True) > rows.mean((2, 3))).all()


def test_a_map_has_no_class_token(user_onnx):
    with pytest.raises(SourceError, match=r"tokens \[N, T, D\] for --pool cls, but is \[1, 8, 15, 15\]"):
        open_onnx(user_onnx(end="map"), **IMAGENET, pool="cls")
