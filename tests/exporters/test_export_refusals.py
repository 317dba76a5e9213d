"""`edgefs export` and what cannot be: one line that says what must hold and what to do, and never half a bundle."""

import json
import resource
import sys
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.torch

pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from edgefs.cli import main  # noqa: E402
from runtime.bundle import Bundle  # noqa: E402

PIXELS = ("--mean", "0.5", "--std", "0.25")


@pytest.fixture
def export(tmp_path, photos, capsys):
    """Run the command; returns its status, its JSON and what it said, and sees to it that nothing half-made stays."""

    def run(*argv, verify=photos):
        out = tmp_path / "out" / "b.edgefs"
        status = main(["export", *map(str, argv), "--verify", str(verify), "--out", str(out), "--json", "-"])
        said, err = capsys.readouterr()
        assert "Traceback" not in err
        if status and "error" in json.loads(said):
            assert not list((tmp_path / "out").glob("*")), "nothing may stay"
        return status, json.loads(said), err

    return run


def refusal(answer):
    status, report, _ = answer
    assert status == 1
    return report["error"]["message"]


@pytest.mark.parametrize(("make", "words"), [
    ({"end": "topk"}, ["operator TopK in its layer largest", "replace it"]),
    ({"end": "fixed"}, ["any number of frames", "dynamic batch"]),
    ({"external": True}, ["external data", "one file"]),
    ({"nodes": ["act"]}, ["outputs ['y', 'act']", "--output NAME"]),
    ({"end": "softmax"}, ["probabilities", "before the classifier"]),
    ({"end": "constant"}, ["different embeddings", "--mean"]),
    ({"size": "s"}, ["--size N"]),
])  # fmt: skip
def test_a_users_onnx_that_is_no_embedder(export, user_onnx, make, words):
    message = refusal(export("--onnx", user_onnx(**make), *PIXELS, "--targets", "onnx"))
    assert all(word in message for word in words), message


def test_weights_that_are_not_numbers(export, user_onnx):
    path = user_onnx()
    model = onnx.load(path)
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "w")
    weight.raw_data = np.float32("nan").tobytes() + weight.raw_data[4:]
    onnx.save(model, path)
    message = refusal(export("--onnx", path, *PIXELS, "--targets", "onnx"))
    assert "w has 1 NaN" in message


@pytest.mark.parametrize(("library", "options", "words"), [
    ("openvino", ["--targets", "openvino"], ["openvino", "pip install 'edgefs[export]'"]),
    ("nncf", ["--targets", "openvino", "--precisions", "int8"], ["nncf", "pip install 'edgefs[export]'"]),
    ("tensorrt", ["--targets", "tensorrt"], ["tensorrt is not installed", "pip install"]),
    ("tensorrt_rtx", ["--targets", "tensorrt-rtx"], ["tensorrt_rtx is not installed", "edgefs[tensorrt-rtx]"]),
])  # fmt: skip
def test_a_missing_library_is_named_with_its_install_line(
    export, user_onnx, photos, monkeypatch, library, options, words
):
    monkeypatch.setitem(sys.modules, library, None)
    message = refusal(export("--onnx", user_onnx(), *PIXELS, *options, "--calibrate", photos))
    assert all(word in message for word in words), message


def test_too_few_pictures_to_calibrate_with(export, user_onnx, tmp_path):
    (tmp_path / "few").mkdir()
    for i in range(3):
        cv2.imwrite(str(tmp_path / "few" / f"{i}.png"), np.full((40, 40, 3), i, np.uint8))
    message = refusal(export("--onnx", user_onnx(), *PIXELS, "--precisions", "int8", "--calibrate", tmp_path / "few"))
    assert "at least 16 pictures, but has 3" in message


def test_a_broken_picture_is_named(export, user_onnx, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "x.png").write_bytes(b"no picture")
    message = refusal(export("--onnx", user_onnx(), *PIXELS, "--calibrate", tmp_path / "broken"))
    assert "x.png" in message


@contextmanager
def full_disk(limit):
    """No file may grow beyond some bytes: what a full disk looks like, in the middle of writing.

    Only around the code under test: pytest's own output may go to a file too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", ["b.edgefs", "b.zip"])
def test_a_disk_that_fills_up_midway_leaves_nothing(user_onnx, photos, tmp_path, capsys, name):
    options = ["--onnx", str(user_onnx()), *PIXELS, "--targets", "onnx", "--verify", str(photos)]
    out = tmp_path / "disk" / name
    with full_disk(8000):  # golden_frames.npy has 12 kB
        assert main(["export", *options, "--out", str(out)]) == 1
    assert "free some space" in capsys.readouterr().err
    assert list(out.parent.iterdir()) == []
    assert main(["export", *options, "--out", str(out)]) == 0
    assert Bundle.load(out).verify()


def test_a_full_disk_does_not_make_a_wrong_artifact(export, user_onnx):
    """OpenVINO writes its weights itself, into a temporary file, before they go into the bundle."""
    path = user_onnx()
    with full_disk(500):
        status, report, err = export("--onnx", path, *PIXELS, "--targets", "openvino")
    assert status == 1
    assert "openvino" not in [row["target"] for row in report.get("artifacts", []) if row["kept"]]
    assert "space" in err or "File too large" in err or "refuses" in err, err


def test_int8_is_calibrated_on_a_video_and_the_bundle_says_on_which_of_its_frames(export, user_onnx, tmp_path):
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    rng = np.random.default_rng(0)
    for _ in range(50):
        writer.write(cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (64, 48)))
    writer.release()
    options = ("--targets", "onnx,openvino", "--precisions", "fp32,int8", "--calibrate", clip, "--frames", "20")
    status, report, err = export("--onnx", user_onnx(), *PIXELS, *options, "--allow", "--keep", "int8")
    assert status == 0, err
    bundle = Bundle.load(report["bundle"])
    assert {(a.target, a.precision) for a in bundle.artifacts} >= {("onnx", "int8"), ("openvino", "int8")}
    facts = bundle.manifest["provenance"]["calibration"]
    assert (facts["source"], facts["pictures"], len(facts["names"])) == ("clip.avi", 20, 20)
    assert facts["names"][0] == "0.00 s"
    assert facts["names"][-1] > "1.9"
    assert bundle.calibration is None, "one video is no six classes"
