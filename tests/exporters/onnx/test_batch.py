"""A file that was traced with one frame takes any number of frames, or is refused with the reason."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import helper, numpy_helper  # noqa: E402

from exporters.errors import ExportError  # noqa: E402
from exporters.onnx.batch import fixed_batch, free_batch  # noqa: E402
from exporters.onnx.session import open_session  # noqa: E402
from exporters.sources.onnx_source import open_onnx  # noqa: E402
from exporters.sources.pictures import verification_pictures  # noqa: E402
from runtime.engines import agreement  # noqa: E402

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def test_the_batch_size_becomes_dynamic(user_onnx):
    model = onnx.load(user_onnx(batch=1))
    assert fixed_batch(model) == 1
    free_batch(model)
    assert fixed_batch(model) is None
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


@pytest.mark.parametrize("end", ["fixed", "line", "flat"])
def test_a_file_of_one_frame_whose_reshape_fixes_the_batch_is_verified_on_many(user_onnx, photos, end):
    source = open_onnx(user_onnx(end=end, batch=1), **IMAGENET)
    frames = verification_pictures(photos, source.preprocess).frames[:21]
    expected = np.concatenate([source.embed(frame[None]) for frame in frames])
    np.testing.assert_array_equal(source.embed(frames), expected)
    got = open_session(source.to_onnx()).run(None, {"frames": frames})[0]
    assert agreement(got, expected).min() > 0.99999


def test_a_larger_fixed_batch_is_filled_and_the_rest_is_dropped(user_onnx, pictures):
    fixed, free = (open_onnx(user_onnx(batch=batch), **IMAGENET) for batch in (4, "n"))
    for count in (1, 4, 7):
        assert agreement(fixed.embed(pictures.frames[:count]), free.embed(pictures.frames[:count])).min() > 0.99999


def test_a_batch_that_cannot_be_freed_is_refused_by_name(user_onnx, pictures):
    path = user_onnx(batch=1, end="pooled")
    model = onnx.load(path)
    model.graph.node[-1].CopyFrom(helper.make_node("Concat", ["pooled", "token"], ["y"], "class token", axis=1))
    model.graph.initializer.append(numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "token"))
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    onnx.save(model, path)
    source = open_onnx(path, **IMAGENET)
    assert source.embed(pictures.frames[:3]).shape == (3, 9)
    with pytest.raises(ExportError, match="any number of frames"):
        source.to_onnx()
