"""The ONNX files that TensorRT plans are built from are checked on the CPU."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto

pytest.importorskip("onnxruntime")

from exporters.errors import ExportError
from exporters.targets.typed_model import typed_model


def test_for_builder_flags_the_file_stays_as_it_is(tiny):
    model = tiny.model().SerializeToString()
    typed = typed_model(model, "fp16", for_flags=True)
    assert not typed.converted
    assert not any(t.data_type == TensorProto.FLOAT16 for t in onnx.load_from_string(typed.data).graph.initializer)


def test_what_cannot_be_converted_is_explained(tiny, patterns):
    model = tiny.model().SerializeToString()
    with pytest.raises(ExportError, match="int8 needs calibration frames, but has none; give some with --calibrate"):
        typed_model(model, "int8")
    with pytest.raises(ExportError, match="16 calibration frames or more, but got 15"):
        typed_model(model, "int8", patterns[:15])
    with pytest.raises(ExportError, match=r"must be uint8 \[N, \*\(32, 32, 3\)\], but are float32"):
        typed_model(model, "int8", patterns.astype(np.float32))
    with pytest.raises(ExportError, match="must be one of fp32, fp16, int8, but is 'bf16'"):
        typed_model(model, "bf16")


@pytest.mark.parametrize(("precision", "at_least"), [("fp32", 0.9999999), ("fp16", 0.9999), ("int8", 0.98)])
def test_the_agreement_with_the_float32_file_is_measured(tiny, patterns, precision, at_least):
    typed = typed_model(tiny.model().SerializeToString(), precision, patterns)
    assert at_least < typed.min_cosine <= 1
    assert (typed.input, typed.shape) == ("frames", (32, 32, 3))


def test_a_conversion_that_went_wrong_is_refused(tiny, patterns, monkeypatch):
    other = tiny.model(seed=5).SerializeToString()
    monkeypatch.setattr("exporters.targets.typed_model.to_half", lambda *_: other)
    with pytest.raises(ExportError, match=r"must keep a cosine of 0.999 to float32 on the CPU, but the worst is"):
        typed_model(tiny.model().SerializeToString(), "fp16", patterns)
