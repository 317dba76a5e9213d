"""ONNX files run in ONNX Runtime, optimised or exactly as they are written."""

import sys

import numpy as np
import pytest

from exporters import ExportError, ToolMissing
from exporters.onnx.session import embed_as_written, open_session


def test_both_ways_give_the_same_embeddings_in_any_number_of_batches(tiny, patterns):
    model = tiny.model().SerializeToString()
    optimised = open_session(model).run(None, {"frames": patterns})[0]
    np.testing.assert_allclose(embed_as_written(model, patterns), optimised, atol=1e-4)


def test_a_file_that_does_not_run_is_an_export_error():
    with pytest.raises(ExportError, match="ONNX Runtime must run the file, but cannot"):
        embed_as_written(b"no model", np.zeros((1, 4, 4, 3), np.uint8))


def test_a_missing_runtime_is_named_with_its_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ToolMissing, match=r"needs onnxruntime.*pip install 'edgefs\[export\]'"):
        embed_as_written(b"", np.zeros((1, 4, 4, 3), np.uint8))
