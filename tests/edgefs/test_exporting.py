"""`edgefs.export` with plain keyword arguments: every kind of model, and paths that are checked before any work."""

import pytest

import edgefs
from runtime.bundle import Bundle
from runtime.errors import BundleError, OptionError


def test_an_existing_bundle_and_paths_that_cannot_be_written_are_found_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "b.edgefs").mkdir()
    with pytest.raises(BundleError, match="exists already; choose another name, or replace it with --overwrite"):
        edgefs.export("conv4", tmp_path / "b.edgefs", progress=pytest.fail)
    for option in ("report", "triton", "ovms"):
        with pytest.raises(OptionError, match=rf"--{option} .* must be writable"):
            edgefs.export("conv4", tmp_path / "new", **{option: tmp_path / "file" / "x"}, progress=pytest.fail)
    with pytest.raises(OptionError, match=r"--out .* must be writable"):
        edgefs.export("conv4", tmp_path / "file" / "b.edgefs", progress=pytest.fail)


@pytest.mark.torch
class TestModels:
    @pytest.fixture
    def network(self):
        nn = pytest.importorskip("torch").nn
        return nn.Sequential(nn.Conv2d(3, 16, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def test_a_module_with_its_normalisation_becomes_a_bundle_and_a_page(self, network, tmp_path):
        stages = []
        exported = edgefs.export(
            network, tmp_path / "mine.edgefs", size=32, mean=0.5, std=(0.25, 0.25, 0.25), targets=("onnx",),
            report=tmp_path / "reports" / "page.html", triton=tmp_path / "triton", progress=stages.append,
        )  # fmt: skip
        assert exported.passed
        assert stages[:2] == ["source", "pictures"]
        assert Bundle.load(tmp_path / "mine.edgefs").preprocess.size == (32, 32)
        assert exported.bundle.name == "Sequential"
        assert "1 of 1 artifacts kept" in (tmp_path / "reports" / "page.html").read_text()
        assert (tmp_path / "triton" / "Sequential-onnx-fp32" / "config.pbtxt").is_file()

    def test_a_module_without_normalisation_or_size_is_refused(self, network, tmp_path):
        with pytest.raises(OptionError, match="give mean, std, and size or preprocess"):
            edgefs.export(network, tmp_path / "b.edgefs", mean=0.5, std=0.25)

    def test_an_onnx_file_is_known_by_its_name_and_a_request_object_is_possible(self, tiny, tmp_path):
        from exporters import Request

        (tmp_path / "mine.onnx").write_bytes(tiny.model(metric="euclidean").SerializeToString())
        exported = edgefs.export(
            tmp_path / "mine.onnx", tmp_path / "b.zip", colour="bgr", name="theirs",
            request=Request(targets=("openvino",), precisions=("fp16",), keep=("fp16",)), precisions=("fp32",),
        )  # fmt: skip
        assert exported.bundle.name == "theirs"
        assert [(a.target, a.precision) for a in exported.bundle.artifacts] == [("onnx", "fp32"), ("openvino", "fp32")]

    @pytest.mark.parametrize(("model", "options", "error", "message"), [
        ("gone.safetensors", {}, edgefs.EdgefsError, "gone.safetensors"),
        ("gone.onnx", {}, edgefs.EdgefsError, "must name a readable file"),
        ("resnet9000", {"weights": "none"}, edgefs.EdgefsError, "--backbone must be one of"),
        ("conv4", {"kind": "tflite"}, OptionError, "kind must be one of checkpoint, backbone, onnx"),
        ("conv4", {"weights": "none", "precisions": ("int8",)}, edgefs.EdgefsError, "--calibrate"),
    ])  # fmt: skip
    def test_what_cannot_be_opened_is_refused(self, tmp_path, model, options, error, message):
        pytest.importorskip("torch")
        with pytest.raises(error, match=message):
            edgefs.export(model, tmp_path / "b.edgefs", **options)
