"""Every classifier of torchvision is exported to ONNX and OpenVINO, or refused with a reason."""

import importlib
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.slow]

pytest.importorskip("torchvision")
pytest.importorskip("onnx")
pytest.importorskip("openvino")

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
try:
    classifiers = importlib.import_module("benchmarks.classifiers")
finally:
    sys.path.remove(str(ROOT))


@pytest.mark.parametrize("name", classifiers.names())
def test_a_classifier_answers_as_in_torch_or_is_refused_with_the_reason(name):
    row = classifiers.measure(name)
    if "pixels" not in row:
        assert " must " in row["error"], row
    else:
        assert min(row["onnx"], row.get("openvino") or 1.0) >= 0.9999, row
        assert not row["error"] or "openvino" in row["error"], row
