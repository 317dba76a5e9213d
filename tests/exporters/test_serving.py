"""Model repositories: the layout servers expect, a new version for a new export, and never half of one."""

import json
import pathlib
import re

import pytest

pytestmark = pytest.mark.torch

pytest.importorskip("torch")
pytest.importorskip("onnx")

from exporters import Request  # noqa: E402
from exporters.errors import ExportError  # noqa: E402
from exporters.serving import NOT_SERVED, not_served, write_ovms, write_triton  # noqa: E402
from exporters.targets.openvino import build as build_openvino  # noqa: E402
from exporters.verify.candidate_check import CandidateCheck  # noqa: E402
from runtime.bundle import Artifact  # noqa: E402

OVMS_KEYS = {
    "name",
    "base_path",
    "target_device",
    "plugin_config",
    "model_version_policy",
    "nireq",
    "shape",
    "batch_size",
}


@pytest.fixture
def bundle(tiny_source, tiny_onnx, pictures):
    ir = build_openvino(tiny_onnx, "fp32", Request())
    check = CandidateCheck(tiny_source, tiny_onnx, pictures)
    plan = {"tensorrt/fp16/model.plan": b"plan", "tensorrt-rtx/fp16/model.plan": b"plan"}
    artifacts = (
        Artifact("openvino", "fp32", ir.file),
        Artifact("tensorrt", "fp16", "tensorrt/fp16/model.plan"),
        Artifact("tensorrt-rtx", "fp16", "tensorrt-rtx/fp16/model.plan"),
    )
    return check.bundle({**ir.files, **plan}, artifacts)


def files_of(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_triton_gets_a_model_for_every_artifact_it_can_run(bundle, tmp_path):
    assert write_triton(bundle, tmp_path, max_batch=4) == ["tiny-onnx-fp32", "tiny-openvino-fp32", "tiny-tensorrt-fp16"]
    files = ["1/edgefs.json", "1/model.bin", "1/model.xml", "config.pbtxt", "warmup/golden"]
    assert files_of(tmp_path / "tiny-openvino-fp32") == files
    assert (tmp_path / "tiny-onnx-fp32/1/model.onnx").read_bytes() == bundle.read("model.onnx")
    config = (tmp_path / "tiny-onnx-fp32/config.pbtxt").read_text()
    assert 'name: "tiny-onnx-fp32"' in config
    assert "max_batch_size: 4" in config
    assert "dims: [32, 32, 3]" in config
    assert "dynamic_batching" in config
    config = (tmp_path / "tiny-openvino-fp32/config.pbtxt").read_text()
    assert "max_batch_size: 0" in config
    assert "dims: [-1, 32, 32, 3]" in config


def test_plans_for_rtx_are_not_left_out_without_a_word(bundle):
    assert not_served(bundle) == {"tensorrt-rtx fp16": NOT_SERVED}


def test_triton_runs_each_model_once_with_a_golden_frame_before_it_answers(bundle, tmp_path):
    for name in write_triton(bundle, tmp_path):
        config = (tmp_path / name / "config.pbtxt").read_text()
        dims = "[1, 32, 32, 3]" if "openvino" in name else "[32, 32, 3]"
        assert f'data_type: TYPE_UINT8 dims: {dims} input_data_file: "golden"' in config
        assert (tmp_path / name / "warmup" / "golden").read_bytes() == bundle.golden()[0][0].tobytes()


def test_ovms_gets_its_config_and_keeps_what_others_put_there(bundle, tmp_path):
    other = {"config": {"name": "other", "base_path": "/models/other"}}
    (tmp_path / "config.json").write_text(json.dumps({"model_config_list": [other]}))
    assert write_ovms(bundle, tmp_path) == ["tiny-openvino-fp32"]
    write_ovms(bundle, tmp_path)
    entries = json.loads((tmp_path / "config.json").read_text())["model_config_list"]
    assert [entry["config"]["name"] for entry in entries] == ["other", "tiny-openvino-fp32"]
    assert (tmp_path / entries[1]["config"]["base_path"] / "2" / "model.xml").is_file()


def test_the_config_has_only_keys_that_the_servers_schema_allows(bundle, tmp_path):
    """OpenVINO Model Server refuses a config.json with any other key (its src/schema.cpp); it was never run here."""
    write_ovms(bundle, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert set(config) == {"model_config_list"}
    for entry in config["model_config_list"]:
        assert set(entry) == {"config"}
        assert entry["config"].keys() <= OVMS_KEYS
        assert all(isinstance(entry["config"][key], str) for key in ("name", "base_path", "target_device"))
        assert all(isinstance(entry["config"][key], dict) for key in ("plugin_config", "model_version_policy"))


def test_openvino_loads_what_was_laid_out(bundle, tmp_path, pictures):
    openvino = pytest.importorskip("openvino")
    write_ovms(bundle, tmp_path)
    model = openvino.Core().compile_model(str(tmp_path / "tiny-openvino-fp32/1/model.xml"), "CPU")
    assert model({"frames": pictures.frames[:3]})["embeddings"].shape == (3, 16)


def test_a_new_export_is_the_next_version(bundle, tmp_path):
    for _ in range(11):
        write_triton(bundle, tmp_path)
    versions = {path.name for path in (tmp_path / "tiny-onnx-fp32").iterdir() if re.fullmatch(r"\d+", path.name)}
    assert versions == {str(i) for i in range(1, 12)}


def test_half_a_version_is_never_left(bundle, tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    with pytest.raises(ExportError, match="No space left"):
        write_ovms(bundle, tmp_path)
    assert files_of(tmp_path) == []


def test_a_broken_config_is_not_overwritten(bundle, tmp_path):
    (tmp_path / "config.json").write_text("[")
    with pytest.raises(ExportError, match="move it away"):
        write_ovms(bundle, tmp_path)
