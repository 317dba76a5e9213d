"""`edgefs export`: the three sources, the JSON, and the exit status, through the real command line."""

import hashlib
import importlib.util
import json

import pytest

pytestmark = pytest.mark.torch

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from edgefs.cli import main  # noqa: E402
from runtime.bundle import Bundle  # noqa: E402
from runtime.engines import open_engine  # noqa: E402

KEYS = {
    "target",
    "precision",
    "file",
    "bytes",
    "min_cosine",
    "neighbour_agreement",
    "accuracy_difference",
    "latency_ms",
    "kept",
    "reason",
}


def run(capsys, *argv):
    status = main(["export", *map(str, argv), "--json", "-"])
    out, err = capsys.readouterr()
    return status, json.loads(out), err


def test_a_users_onnx_becomes_a_bundle_that_engines_open(user_onnx, photos, tmp_path, capsys):
    options = (
        "--mean",
        "0.5",
        "--std",
        "0.25",
        "--targets",
        "onnx,openvino",
        "--precisions",
        "fp32,fp16",
        "--keep",
        "fp16",
    )
    where = ("--verify", photos, "--base", photos, "--out", tmp_path / "b.edgefs", "--ovms", tmp_path / "ovms")
    more = ("--triton", tmp_path / "triton", "--report", tmp_path / "report.html")
    status, report, err = run(capsys, "--onnx", user_onnx(), *options, *where, *more)
    assert status == 0
    assert report["passed"]
    assert [(row["target"], row["precision"]) for row in report["artifacts"]] == [
        (target, precision) for target in ("onnx", "openvino") for precision in ("fp32", "fp16")
    ]
    assert all(row.keys() >= KEYS for row in report["artifacts"])
    assert "within tolerance" in err or "although it is" in err
    bundle = Bundle.load(tmp_path / "b.edgefs")
    assert bundle.calibration["things"] == 8
    assert open_engine(bundle, "onnxruntime").info.golden_cosine > 0.9999
    assert (tmp_path / "triton/user-onnx-fp32/config.pbtxt").is_file()
    assert (tmp_path / "ovms/config.json").is_file()
    assert "4 of 4 artifacts kept" in (tmp_path / "report.html").read_text()
    assert " s  openvino fp16" in err, "a line for each stage where there is no terminal"


def test_where_a_file_ends_how_it_is_pooled_and_what_it_sees_are_options(user_onnx, photos, tmp_path, capsys):
    path = user_onnx(end="scores", batch=1)
    options = ("--mean", "0.5", "--std", "0.25", "--targets", "onnx", "--verify", photos, "--crop", "pad")
    where = ("--output", "act", "--pool", "gem", "--out", tmp_path / "b.edgefs")
    status, report, _ = run(capsys, "--onnx", path, *options, *where)
    assert status == 0
    assert report["passed"]
    bundle = Bundle.load(tmp_path / "b.edgefs")
    assert (bundle.preprocess.crop, bundle.dim) == ("pad", 8)
    source = bundle.manifest["provenance"]["source"]
    assert (source["output"], source["pool"]) == ("act", "gem")


def test_a_checkpoint_keeps_its_own_metric_and_centring(tmp_path, photos, capsys):
    checkpoint = pytest.importorskip("edgefs.checkpoint")
    config = pytest.importorskip("edgefs.methods")
    data = pytest.importorskip("edgefs.data")
    spec = data.spec_of("folder", size=32)
    settings = config.config_of("protonet", data="folder", size=32, backbone="conv4")
    torch.manual_seed(0)
    method = checkpoint.new_method(settings, spec)
    path = checkpoint.save_checkpoint(tmp_path / "best.safetensors", method, settings, spec)
    status, report, _ = run(capsys, path, "--targets", "onnx", "--calibrate", photos, "--out", tmp_path / "b.edgefs")
    assert status == 0
    bundle = Bundle.load(report["bundle"])
    assert bundle.name == "best"
    assert bundle.preprocess == spec.preprocess
    assert bundle.manifest["provenance"]["source"]["config"]["method"] == "protonet"
    assert bundle.metric == ("euclidean" if settings.distance == "euclidean" else "cosine")


def test_a_backbone_with_random_weights_and_a_zip(tmp_path, photos, capsys):
    options = ("--backbone", "conv4", "--weights", "none", "--size", "32", "--targets", "onnx", "--verify", photos)
    status, report, _ = run(capsys, *options, "--name", "mine", "--out", tmp_path / "b.zip")
    assert status == 0
    assert report["name"] == "mine"
    assert Bundle.load(tmp_path / "b.zip").preprocess.size == (32, 32)


RTX = pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="needs edgefs[tensorrt-rtx]")


@RTX
def test_plans_for_rtx_pcs_are_built_without_one(user_onnx, photos, tmp_path, capsys):
    options = ("--targets", "tensorrt-rtx", "--precisions", "fp32,fp16,int8", "--compute", "SM86,SM120")
    where = ("--calibrate", photos, "--verify", photos, "--out", tmp_path / "pc.edgefs")
    status, report, err = run(capsys, "--onnx", user_onnx(), "--mean", "0.5", "--std", "0.25", *options, *where)
    assert status == 0, err
    plans = {row["precision"]: row for row in report["artifacts"] if row["target"] == "tensorrt-rtx"}
    assert set(plans) == {"fp32", "fp16", "int8"}
    bundle = Bundle.load(tmp_path / "pc.edgefs")
    for precision, row in plans.items():
        assert row["kept"], row["reason"]
        assert row["latency_ms"] is None, "nothing here can run it"
        assert "built for SM86, SM120, not run; its ONNX on this CPU" in row["reason"]
        assert row["min_cosine"] > {"fp32": 0.9999, "fp16": 0.999, "int8": 0.99}[precision]
        passport = json.loads(bundle.read(row["file"].replace(".plan", ".passport.json")))
        assert passport["compute_capabilities"] == ["8.6", "12.0"]
        assert passport["plan_sha256"] == hashlib.sha256(bundle.read(row["file"])).hexdigest()
        assert "--computeCapabilities=86,120" in passport["trtexec"]


@RTX
def test_what_nvidias_builder_refuses_is_said_with_the_node(user_onnx, photos, tmp_path, capsys):
    """Turing has no float32 products in this library; one precision refused does not cost the other."""
    options = ("--targets", "tensorrt-rtx", "--precisions", "fp32,fp16", "--compute", "SM75", "--verify", photos)
    source = ("--onnx", user_onnx(end="gemm"), "--mean", "0.5", "--std", "0.25")
    status, report, _ = run(capsys, *source, *options, "--out", tmp_path / "b.edgefs")
    assert status == 1
    fp32, fp16 = (row for row in report["artifacts"] if row["target"] == "tensorrt-rtx")
    assert (fp32["kept"], fp16["kept"]) == (False, True)
    assert "net/projection" in fp32["reason"]
    assert "Turing (SM75): FP32 GEMM is not supported" in fp32["reason"]


@RTX
def test_an_unknown_gpu_is_refused_at_once(user_onnx, photos, tmp_path, capsys):
    options = ("--targets", "tensorrt-rtx", "--compute", "SM99", "--verify", photos, "--out", tmp_path / "b.edgefs")
    status, report, _ = run(capsys, "--onnx", user_onnx(), "--mean", "0.5", "--std", "0.25", *options)
    assert status == 1
    assert "SM120" in report["error"]["message"]
    assert "but got SM99" in report["error"]["message"]


@pytest.mark.parametrize(("argv", "message"), [
    (["--backbone", "conv4"], "--weights FILE"),
    (["--backbone", "resnet9000", "--weights", "none"], "resnet18"),
    (["--onnx", "gone.onnx", "--mean", "0", "--std", "1"], "gone.onnx"),
    (["gone.safetensors"], "gone.safetensors"),
    (["--backbone", "conv4", "--weights", "none", "--precisions", "int8"], "--calibrate"),
    (["--backbone", "conv4", "--weights", "none", "--targets", "tflite"], "tensorrt-rtx"),
])  # fmt: skip
def test_what_cannot_be_is_one_line_and_status_1(tmp_path, capsys, argv, message):
    status, report, err = run(capsys, *argv, "--out", tmp_path / "b.edgefs")
    assert status == 1
    assert message in report["error"]["message"]
    assert "Traceback" not in err
    assert not (tmp_path / "b.edgefs").exists()


def test_an_existing_bundle_is_not_touched_without_being_asked(tmp_path, capsys):
    (tmp_path / "b.edgefs").mkdir()
    status, report, _ = run(capsys, "--backbone", "conv4", "--weights", "none", "--out", tmp_path / "b.edgefs")
    assert status == 1
    assert "--overwrite" in report["error"]["message"]


def test_exactly_one_source_is_required(tmp_path, capsys):
    for argv in ([], ["run.safetensors", "--backbone", "conv4"]):
        with pytest.raises(SystemExit) as stopped:
            main(["export", *argv, "--out", str(tmp_path / "b")])
        assert stopped.value.code == 2
    assert "checkpoint" in capsys.readouterr().err
