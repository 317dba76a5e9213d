"""A source that is no embedder is refused before anything is built."""

from types import SimpleNamespace

import numpy as np
import pytest

pytestmark = pytest.mark.torch

pytest.importorskip("onnx")
pytest.importorskip("torch")

from exporters.errors import SourceError  # noqa: E402
from exporters.sources.check_embeddings import check_embeddings  # noqa: E402
from exporters.sources.onnx_source import open_onnx  # noqa: E402

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.mark.parametrize(("end", "message"), [("softmax", "probabilities"), ("constant", "different embeddings")])
def test_a_file_that_does_not_embed_is_refused(user_onnx, pictures, end, message):
    check_embeddings(open_onnx(user_onnx(), **IMAGENET), pictures.frames)
    with pytest.raises(SourceError, match=message):
        check_embeddings(open_onnx(user_onnx(end=end), **IMAGENET), pictures.frames)


@pytest.mark.parametrize(("features", "message"), [
    ([[1.0, np.nan], [0.0, 1.0]], "finite numbers"),
    ([[1e-5, 0.0], [0.0, 1e-5]], "one has the length 1.0e-05"),
    ([[0.3, 0.7], [0.6, 0.4]], "probabilities"),
    ([[2.0], [3.0]], "the same 1 numbers"),
])  # fmt: skip
def test_features_that_no_gallery_can_use_are_refused(features, message):
    source = SimpleNamespace(name="net", metric="cosine", features=lambda _: np.array(features, np.float32))
    with pytest.raises(SourceError, match=message):
        check_embeddings(source, np.zeros((2, 1, 1, 3), np.uint8))
