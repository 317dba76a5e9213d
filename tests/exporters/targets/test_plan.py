"""A plan becomes a candidate with its passport, and with the ONNX file it came from where that is not model.onnx."""

import json

import pytest

from exporters.targets.plan import Profile, plan_candidate
from exporters.targets.typed_model import TypedModel

PROFILE = Profile((32, 32, 3), (1, 1, 8))


def test_a_profile_gives_the_smallest_usual_and_largest_input():
    assert PROFILE.shapes() == ((1, 32, 32, 3), (1, 32, 32, 3), (8, 32, 32, 3))


@pytest.mark.parametrize("converted", [True, False])
def test_the_onnx_file_goes_along_only_if_it_was_converted(converted):
    typed = TypedModel("fp16", b"typed", "frames", (32, 32, 3), 0.99995, converted)
    made = plan_candidate(
        "tensorrt-rtx", b"a plan", model=b"model", typed=typed, profile=PROFILE, reason="built for SM86, not run",
        trtexec=lambda onnx, plan: f"tensorrt_rtx {onnx} {plan}", library_version="1.7.1",
        compute_capabilities=("8.6",), flags=(),
    )  # fmt: skip
    assert made.file == "tensorrt-rtx/fp16/model.plan"
    assert ("tensorrt-rtx/fp16/model.onnx" in made.files) is converted
    passport = json.loads(made.files["tensorrt-rtx/fp16/model.passport.json"])
    onnx = "tensorrt-rtx/fp16/model.onnx" if converted else "model.onnx"
    assert passport["trtexec"] == f"tensorrt_rtx {onnx} {made.file}"
    assert made.reason.endswith("min cosine 0.99995 to float32")
