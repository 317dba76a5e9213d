"""Export as a whole: everything asked for is built, measured and judged, and the bundle holds what was kept."""

import sys
from dataclasses import replace

import numpy as np
import pytest

pytestmark = pytest.mark.torch

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from exporters.errors import ExportError, GateFailed, PicturesError, SourceError, ToolMissing  # noqa: E402
from exporters.pipeline import export, with_base  # noqa: E402
from exporters.request import Request  # noqa: E402
from exporters.sources.torch_source import TorchSource  # noqa: E402
from exporters.targets.onnx_cpu import to_onnx_cpu  # noqa: E402
from exporters.targets.openvino import to_openvino  # noqa: E402
from exporters.targets.target import Candidate  # noqa: E402
from exporters.verify.candidate_check import Trial  # noqa: E402
from exporters.verify.divergence import first_diverging_layer  # noqa: E402
from runtime.bundle import Bundle  # noqa: E402
from runtime.engines import agreement, open_engine  # noqa: E402
from runtime.errors import BundleError, EngineMissing  # noqa: E402

ALL = ("fp32", "fp16", "int8")


class Ready:
    """A source whose ONNX is already made: exporting takes seconds, and once is enough."""

    def __init__(self, source: TorchSource, model: bytes) -> None:
        self.__dict__.update(source.__dict__)
        self.source, self.model, self.centres = source, model, False
        self.features, self.embed, self.layers = source.features, source.embed, source.layers

    def to_onnx(self, **_: object) -> bytes:
        return self.model


@pytest.fixture
def ready(tiny_source, tiny_onnx):
    return Ready(tiny_source, tiny_onnx)


def spoilt(model: bytes, onnx_of, name: str = "network.3/Conv") -> bytes:
    """The same file with the weights of one layer shuffled."""
    from onnx import numpy_helper

    proto = onnx_of(model)
    node = next(node for node in proto.graph.node if node.name == name)
    tensor = next(tensor for tensor in proto.graph.initializer if tensor.name == node.input[1])
    values = numpy_helper.to_array(tensor).copy()
    np.random.default_rng(0).shuffle(values)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return proto.SerializeToString()


def test_everything_asked_for_is_built_measured_and_judged(ready, pictures, tmp_path):
    pytest.importorskip("nncf")
    stages = []
    request = Request(precisions=ALL, calibration=pictures, base=pictures, allow=True)
    exported = export(ready, request, pictures, progress=stages.append)
    assert [(report.target, report.precision) for report in exported.reports] == [
        (t, p) for t in ("onnx", "openvino") for p in ALL
    ]
    assert {"ONNX", "openvino int8", "latency", "bundle"} <= set(stages)
    for report in exported.reports:
        assert report.kept
        assert report.bytes > 1000
        assert report.latency_ms > 0
        assert report.min_cosine > {"fp32": 0.9999, "fp16": 0.999, "int8": 0.9}[report.precision]
        assert [paired.n_shot for paired in report.accuracy] == [1, 5]
        assert report.to_json()["accuracy_difference"] is not None
    bundle = exported.bundle.save(tmp_path / "b.edgefs")
    assert len(bundle.verify()) == 9  # OpenVINO also reads the three ONNX files
    assert bundle.calibration["genuine"]["5"]
    assert bundle.manifest["provenance"]["calibration"]["pictures"] == len(pictures)
    engine = open_engine(bundle, "openvino", precision="int8")
    assert agreement(engine.embed(pictures.frames), ready.embed(pictures.frames)).min() > 0.9


def test_base_classes_centre_the_embedding_and_fill_the_table(tiny_source, pictures, photos, preprocess):
    source, table = with_base(tiny_source, pictures)
    centred = source.embed(pictures.frames)
    assert np.abs(np.linalg.norm(centred, axis=1) - 1).max() < 1e-5
    assert agreement(centred, tiny_source.embed(pictures.frames)).max() < 0.99
    assert table["classes"] == 8
    settled = TorchSource("x", tiny_source.graph, preprocess, centres=False)
    assert with_base(settled, pictures)[0] is settled
    one_class = replace(pictures, labels=np.zeros(len(pictures), np.int64))
    assert with_base(tiny_source, one_class) == (tiny_source, None)


def test_a_model_that_does_not_answer_as_its_source_is_not_packed(ready, pictures, onnx_of):
    ready.model = spoilt(ready.model, onnx_of)
    with pytest.raises(GateFailed, match=r"model\.onnx must answer as tiny does.*first diverging layer: network\.3 "):
        export(ready, Request(targets=("onnx",)), pictures)
    exported = export(ready, Request(targets=("onnx",), allow=True), pictures)
    assert not exported.passed
    assert "--allow" in exported.reports[0].reason


def test_the_first_diverging_layer_is_named(ready, pictures, onnx_of):
    frame = pictures.frames[:1]
    bad = {"bad.onnx": spoilt(ready.model, onnx_of)}
    assert first_diverging_layer(ready.model, bad, "bad.onnx", frame).startswith("network.3/Conv (cosine ")
    ir = to_openvino(bad["bad.onnx"], "fp32")
    assert first_diverging_layer(ready.model, ir.files, ir.file, frame).startswith("network.3/Conv (cosine ")
    trial = Trial(ready, ready.model, pictures, ready.embed(pictures.frames))
    outcome = trial.run(Candidate("onnx", "fp16", "onnx/fp16/model.onnx", {"onnx/fp16/model.onnx": bad["bad.onnx"]}))
    assert outcome.failed
    assert outcome.diverges.startswith("network.3/Conv")


def test_an_artefact_that_fails_is_left_out_and_the_export_says_so(ready, pictures, onnx_of, monkeypatch):
    bad = spoilt(ready.model, onnx_of)
    file = "openvino/fp16/model.xml"
    monkeypatch.setattr("exporters.build.to_openvino", lambda model, precision, **_: to_openvino(
        bad if precision == "fp16" else model, precision))  # fmt: skip
    exported = export(ready, Request(targets=("openvino",), precisions=("fp32", "fp16")), pictures)
    failed = exported.reports[-1]
    assert (failed.file, failed.kept, failed.failed, exported.passed) == (file, False, True, False)
    assert "first diverging layer: network.3/Conv" in failed.reason
    assert file not in exported.bundle.manifest["files"]


def test_int8_is_tried_again_without_its_worst_layers_when_it_fails(ready, pictures, onnx_of, monkeypatch):
    bad, tries = spoilt(ready.model, onnx_of), []

    def convert(model, precision, *, calibration=None, rescue=False):
        tries.append((precision, rescue))
        made = to_openvino(bad if precision == "int8" and not rescue else model, "fp32")
        return replace(made, precision=precision, reason="3 of 9 layers kept in float32" if rescue else "")

    monkeypatch.setattr("exporters.build.to_openvino", convert)
    monkeypatch.setattr(
        "exporters.verify.candidate_check.failed_gates",
        lambda _, measured: ["bad"] if measured.min_cosine < 0.9 else [],
    )
    exported = export(ready, Request(targets=("openvino",), precisions=("int8",), calibration=pictures), pictures)
    assert tries == [("fp32", False), ("int8", False), ("int8", True)]
    assert exported.passed
    assert exported.reports[-1].reason.endswith("; 3 of 9 layers kept in float32")


def test_compiled_models_are_kept_where_the_user_says_so(ready, pictures, tmp_path, monkeypatch):
    bundle = export(ready, Request(targets=("onnx",)), pictures).bundle
    monkeypatch.setenv("EDGEFS_MODEL_CACHE", str(tmp_path))
    first, again = (open_engine(bundle, "openvino").embed(pictures.frames[:1]) for _ in range(2))
    assert [path.suffix for path in tmp_path.iterdir()] == [".blob"]
    np.testing.assert_array_equal(first, again)


def test_one_precision_that_cannot_be_built_does_not_cost_the_others(ready, pictures, monkeypatch):
    def refuse(model, precision, **_):
        if precision == "fp16":
            raise ExportError("layer stem is refused")
        return to_openvino(model, precision)

    monkeypatch.setattr("exporters.build.to_openvino", refuse)
    exported = export(ready, Request(targets=("openvino",), precisions=("fp32", "fp16")), pictures)
    assert (exported.reports[-1].kept, exported.reports[-1].reason) == (False, "layer stem is refused")
    assert not exported.passed
    assert [artifact.target for artifact in exported.bundle.artifacts] == ["onnx", "openvino"]


@pytest.mark.parametrize(("options", "error", "message"), [
    ({"targets": ("tflite",)}, ExportError, "tensorrt-rtx, but got"),
    ({"precisions": ()}, ExportError, "but got none"),
    ({"precisions": ("int8",)}, PicturesError, "--calibrate FOLDER"),
])  # fmt: skip
def test_impossible_requests_are_refused_at_once(options, error, message):
    with pytest.raises(error, match=message):
        Request(**options)


def test_a_missing_library_is_named_with_its_extra(ready, pictures, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(ToolMissing, match=r"nncf.*pip install 'edgefs\[export\]'"):
        export(ready, Request(precisions=("int8",), calibration=pictures), pictures, progress=pytest.fail)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(EngineMissing, match=r"tensorrt is not installed.*pip install"):
        export(ready, Request(targets=("tensorrt",)), pictures, progress=pytest.fail)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ToolMissing, match=r"edgefs\[export\]"):
        to_openvino(ready.model, "fp32")
    monkeypatch.setitem(sys.modules, "onnxruntime.quantization", None)
    with pytest.raises(ToolMissing, match=r"edgefs\[export\]"):
        to_onnx_cpu(ready.model, "int8", calibration=pictures.frames)


def test_weights_that_are_not_finite_are_found_before_anything_is_built(tiny_source, pictures):
    source = tiny_source.centred(np.zeros(16, np.float32))  # a copy
    source.graph.network[3].weight.data[0, 0, 0, 0] = float("nan")
    with pytest.raises(SourceError, match="finite numbers on real pictures"):
        export(source, Request(targets=("onnx",)), pictures)


def test_a_full_disk_leaves_nothing_behind(ready, pictures, tmp_path, monkeypatch):
    bundle = export(ready, Request(targets=("onnx",)), pictures).bundle
    import pathlib

    write = pathlib.Path.write_bytes

    def full(path, data):
        if path.name == "embeddings.npy":
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    with pytest.raises(BundleError, match="No space left on device"):
        bundle.save(tmp_path / "b.edgefs")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert Bundle.load(bundle.save(tmp_path / "b.edgefs").path)
