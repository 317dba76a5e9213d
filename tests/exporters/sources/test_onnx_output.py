"""A file must end in an embedding; a map, tokens and class scores are refused with what to take instead."""

import re

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from exporters.errors import SourceError  # noqa: E402
from exporters.onnx.session import open_session  # noqa: E402
from exporters.sources.onnx_source import open_onnx  # noqa: E402
from runtime.engines import agreement  # noqa: E402

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.mark.parametrize(("end", "message"), [
    ("map", "its output y is a map [1, 8, 15, 15]; add --pool mean or --pool gem, or name"),
    ("tokens", "its output y is tokens [1, 225, 8]; add --pool cls or --pool mean, or name"),
    ("scores", "is the scores of 1000 classes; take what its last layer classifier starts from: --output f (or"),
])  # fmt: skip
def test_what_is_no_embedding_is_refused_with_what_to_take(user_onnx, end, message):
    with pytest.raises(SourceError, match=re.escape(message)):
        open_onnx(user_onnx(end=end), **IMAGENET)


@pytest.mark.parametrize("output", ["f", "classifier", "y"])
def test_the_advice_about_class_scores_works(user_onnx, pictures, output):
    source = open_onnx(user_onnx(end="scores"), **IMAGENET, output=output)
    got = open_session(source.to_onnx()).run(None, {"frames": pictures.frames})[0]
    assert got.shape[1] == (8 if output == "f" else 1000)
    assert agreement(got, source.embed(pictures.frames)).min() > 0.9999
    assert source.facts["output"] == output


def test_cutting_at_the_embedding_gives_the_file_that_ends_there(user_onnx, pictures):
    cut = open_onnx(user_onnx(end="scores"), **IMAGENET, output="f")
    np.testing.assert_array_equal(
        cut.features(pictures.frames), open_onnx(user_onnx(), **IMAGENET).features(pictures.frames)
    )
    assert "classes" not in {tensor.name for tensor in cut.model.graph.initializer}


def test_what_follows_the_embedding_need_not_be_allowed_and_further_outputs_may_exist(user_onnx):
    assert open_onnx(user_onnx(end="topk"), **IMAGENET, output="f").model.graph.output[0].name == "f"
    assert open_onnx(user_onnx(nodes=["act"]), **IMAGENET, output="y").model.graph.output[0].name == "y"


def test_a_softmax_at_the_end_is_named(user_onnx):
    path = user_onnx(end="scores")
    model = onnx.load(path)
    model.graph.node[-1].op_type = "Softmax"
    onnx.save(model, path)
    with pytest.raises(SourceError, match=r"its output y is probabilities; take .* --output f"):
        open_onnx(path, **IMAGENET)


def test_an_unknown_output_is_answered_with_names_near_it(user_onnx):
    with pytest.raises(SourceError, match=r"'pool' is none; near it are .*pooled"):
        open_onnx(user_onnx(), **IMAGENET, output="pool")
