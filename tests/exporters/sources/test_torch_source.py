"""A torch module as a source: its layers, its centred copy, and frames it does not take."""

import numpy as np
import pytest

pytestmark = pytest.mark.torch

pytest.importorskip("torch")

from exporters.errors import ExportError  # noqa: E402


def test_the_outputs_of_all_modules_are_given_in_the_order_they_run(tiny_source, pictures):
    layers = tiny_source.layers(pictures.frames[:1])
    assert list(layers)[:3] == ["network.0", "network.1", "network.2"]
    assert layers["network.7"].shape == (1, 16)


def test_a_centred_copy_leaves_the_source_as_it_is(tiny_source, pictures):
    before = tiny_source.embed(pictures.frames)
    centred = tiny_source.centred(tiny_source.features(pictures.frames).mean(axis=0))
    assert not np.allclose(centred.embed(pictures.frames), before)
    np.testing.assert_array_equal(tiny_source.embed(pictures.frames), before)


def test_frames_of_another_shape_are_refused_with_the_expected_one(tiny_source):
    with pytest.raises(ExportError, match=r"tiny must take 3 channels of \(32, 32\) pixels"):
        tiny_source.embed(np.zeros((1, 32, 32, 1), np.uint8))
