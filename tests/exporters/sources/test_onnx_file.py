"""Reading a user's ONNX file: its layout and size, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.torch

onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")

from onnx import TensorProto, helper  # noqa: E402

from exporters.errors import SourceError  # noqa: E402
from exporters.onnx.session import open_session  # noqa: E402
from exporters.sources.onnx_file import is_planar, size_and_channels  # noqa: E402
from exporters.sources.onnx_source import open_onnx  # noqa: E402

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def picture(*sides):
    return helper.make_tensor_value_info("x", TensorProto.FLOAT, sides)


@pytest.mark.parametrize(("sides", "planar", "size", "channels"), [
    (("n", 3, 64, 48), True, (64, 48), 3),
    (("n", 64, 48, 1), False, (64, 48), 1),
    ((1, 3, "h", "w"), True, (32, 32), 3),
])  # fmt: skip
def test_layout_size_and_channels_are_read_from_the_input(sides, planar, size, channels):
    assert is_planar(picture(*sides)) is planar
    asked = 32 if "h" in sides else None
    assert size_and_channels(picture(*sides), asked, Path("x.onnx")) == (size, channels)


@pytest.mark.parametrize(("sides", "asked", "message"), [
    ((1, 2, 8, 8), None, "1 or 3 channels"), ((1, 3), None, r"must be \[N, C, H, W\]"),
    ((1, 3, "h", "w"), None, "--size N"), ((1, 3, 8, 8), 16, "contradicts"),
])  # fmt: skip
def test_an_input_that_is_no_picture_of_known_size_is_refused(sides, asked, message):
    with pytest.raises(SourceError, match=message):
        size_and_channels(picture(*sides), asked, Path("x.onnx"))


@pytest.mark.parametrize("content", [b"", b"no model", b"\xff" * 99])
def test_other_files_are_not_onnx(tmp_path, content):
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(SourceError, match="must be an ONNX file"):
        open_onnx(path, **IMAGENET)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"gone\.onnx"):
        open_onnx(tmp_path / "gone.onnx", **IMAGENET)


def test_nan_weights_are_named(user_onnx):
    path = user_onnx()
    model = onnx.load(path)
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "w")
    weight.raw_data = np.float32("nan").tobytes() + weight.raw_data[4:]
    onnx.save(model, path)
    with pytest.raises(SourceError, match="w has 1 NaN"):
        open_onnx(path, **IMAGENET)


def test_weights_among_the_inputs_are_weights(user_onnx, pictures):
    """As files of format version 3 list them."""
    old, new = (open_onnx(user_onnx(ir_version=version, opset=13), **IMAGENET) for version in (3, 8))
    assert [value.name for value in old.model.graph.input] == ["x"]
    np.testing.assert_array_equal(old.embed(pictures.frames), new.embed(pictures.frames))
    embeddings = [open_session(source.to_onnx()).run(None, {"frames": pictures.frames})[0] for source in (old, new)]
    np.testing.assert_array_equal(*embeddings)
