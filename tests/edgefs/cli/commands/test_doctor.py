"""`edgefs doctor` lists what is here and what is missing."""

import cv2
import pytest


def test_the_doctor_tells_what_is_here_and_verifies_the_bundle(shop, run):
    status, report, err = run("doctor", "--bundle", "tiny.edgefs")
    assert status == 0
    assert report["passed"]
    parts = {part["name"]: part for part in report["parts"]}
    assert parts["cv2"]["version"] == cv2.__version__
    assert parts["onnxruntime"]["version"]
    if parts["torch"]["version"] is None:
        assert parts["torch"]["note"] == "pip install 'edgefs[train,export]'"
    assert {engine["name"] for engine in report["bundle"]["engines"]} >= {"onnxruntime", "openvino"}
    assert "golden frames agree" in err
    (shop / "tiny.edgefs/model.onnx").write_bytes(b"damaged")
    status, report, _ = run("doctor", "--bundle", "tiny.edgefs")
    assert status == 1
    assert "sha256" in report["bundle"]["error"]


@pytest.mark.parametrize(
    ("part", "purpose", "extra"),
    [
        ("starlette", "the live app", "app"),
        ("torch", "training, export", "train,export"),
        ("onnxscript", "export", "export"),
        ("tensorrt", "TensorRT engines", "tensorrt"),
        ("tensorrt-rtx", "TensorRT for RTX engines", "tensorrt-rtx"),
    ],
)
def test_the_parts_of_every_extra_are_listed_with_the_line_that_installs_them(
    shop, run, monkeypatch, part, purpose, extra
):
    monkeypatch.setattr("edgefs.cli.commands.doctor._version", lambda _: None)
    _, report, _ = run("doctor", "--bundle", "tiny.edgefs")
    found = next(row for row in report["parts"] if row["name"] == part)
    assert found["version"] is None
    assert purpose in found["for"]
    assert found["note"].startswith(f"pip install 'edgefs[{extra}")
