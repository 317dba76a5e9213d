"""What `--compare` holds an engine against gives the engine's own answers, or there is nothing to hold it against."""

from dataclasses import replace

import numpy as np
import pytest

from edgefs.bench.library import library_call
from edgefs.bench.subjects import open_subjects


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_the_library_gives_what_the_engine_gives(tiny_bundle, name):
    pytest.importorskip(name)
    with open_subjects(tiny_bundle, [name], ["fp32"], threads=1) as (subjects, _):
        (subject,) = subjects
        for i in range(5):
            inputs = subject.inputs[i % len(subject.inputs)]
            answer = subject.library(i)
            got = answer.numpy() if name == "onnxruntime" else answer.data
            np.testing.assert_allclose(got, subject.recognizer.engine.embed(inputs), rtol=1e-5, atol=1e-6)


def test_an_engine_of_which_no_library_is_known_has_none(tiny_bundle):
    pytest.importorskip("onnxruntime")
    with open_subjects(tiny_bundle, ["onnxruntime"], ["fp32"], threads=1) as (subjects, _):
        info = subjects[0].info
    for other in (replace(info, name="tensorrt"), replace(info, name="openvino", device="GPU")):
        assert library_call(tiny_bundle, other, np.zeros((1, 1, 8, 8, 3), np.uint8)) is None
