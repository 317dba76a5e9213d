"""What is opened for a benchmark, and what is left out."""

import numpy as np
import pytest

from edgefs.bench.subjects import N_CLASSES, make_frames, make_picture, open_subjects, random_shots
from edgefs.errors import BenchError

pytest.importorskip("onnxruntime")


def test_an_opened_subject_is_taught_and_has_prepared_inputs(tiny_bundle):
    with open_subjects(tiny_bundle, ["onnxruntime"], ["all"], threads=1) as (subjects, skipped):
        (subject,) = subjects
        assert (subject.engine, subject.precision, skipped) == ("onnxruntime", "fp32", [])
        assert len(subject.recognizer.labels) == N_CLASSES
        assert subject.inputs.shape[1:] == (1, *tiny_bundle.preprocess.shape)
        assert len(subject.batch(6)) == 6


def test_a_precision_that_the_bundle_lacks_is_left_out_with_the_reason(tiny_bundle):
    with open_subjects(tiny_bundle, ["onnxruntime"], ["fp32", "int4"], threads=1) as (subjects, skipped):
        assert [each.precision for each in subjects] == ["fp32"]
        assert [each.precision for each in skipped] == ["int4"]
        assert "int4" in skipped[0].why


@pytest.mark.parametrize(
    ("engines", "precisions", "message"),
    [
        (["abacus"], ["all"], "--engines must be all or some of onnxruntime"),
        (["onnxruntime"], ["int4"], "none of those"),
    ],
)
def test_what_cannot_be_measured_is_refused(tiny_bundle, engines, precisions, message):
    with pytest.raises(BenchError, match=message), open_subjects(tiny_bundle, engines, precisions, threads=1):
        pass


def test_frames_are_720p_and_shots_are_unit_vectors():
    assert {frame.shape for frame in [*make_frames(), make_picture()]} == {(720, 1280, 3)}
    shots = random_shots(32, 3, np.random.default_rng(0))
    assert np.linalg.norm([shot.embedding for shot in shots], axis=1) == pytest.approx(1)
