"""A candidate is measured with the device's engine, or through its ONNX file where no engine here runs it."""

import pytest

pytestmark = pytest.mark.torch

pytest.importorskip("torch")
pytest.importorskip("onnx")

from exporters.targets.target import Candidate  # noqa: E402
from exporters.verify.candidate_check import CandidateCheck, CheckResult  # noqa: E402
from exporters.verify.gates import Measured  # noqa: E402


@pytest.fixture
def check(traced, pictures):
    return CandidateCheck(traced, traced.model, pictures)


def test_a_sound_candidate_passes_and_its_engine_stays_open_until_it_is_closed(check):
    result = check.run(Candidate("onnx", "fp32", "model.onnx", {"model.onnx": check.model}))
    assert (result.failed, result.diverges) == ((), None)
    assert result.measured.min_cosine > 0.9999
    assert result.engine is not None
    result.close()
    result.close()
    assert result.engine is None


def test_a_wrong_candidate_fails_and_its_first_wrong_layer_is_named(check, spoil):
    file = "onnx/fp16/model.onnx"
    result = check.run(Candidate("onnx", "fp16", file, {file: spoil(check.model)}))
    assert result.failed
    assert result.diverges.startswith("network.3/Conv")
    result.close()


def test_a_plan_is_measured_through_the_onnx_file_it_was_built_from(check):
    files = {"tensorrt/fp16/model.plan": b"a plan", "tensorrt/fp16/model.onnx": check.model}
    result = check.run(Candidate("tensorrt", "fp16", "tensorrt/fp16/model.plan", files))
    assert result.engine is None
    assert result.measured.min_cosine > 0.9999


def test_a_file_that_no_engine_opens_is_a_failure_that_was_not_measured(check):
    result = check.run(Candidate("onnx", "fp16", "onnx/fp16/model.onnx", {"onnx/fp16/model.onnx": b"no model"}))
    assert result.failed
    assert result.measured is None


@pytest.mark.parametrize(("precision", "cosine", "floor"), [
    ("fp32", 0.99999, 0.999), ("fp16", 0.995, 0.99), ("int8", 0.93, 0.83), ("int8", 0.15, 0.1),
])  # fmt: skip
def test_golden_frames_must_reach_the_precisions_cosine_or_a_little_less_than_here(precision, cosine, floor):
    measured = Measured(cosine, cosine, 1.0, ())
    assert CheckResult(Candidate("onnx", precision), measured).golden_floor() == pytest.approx(floor)
