"""A whole export: everything asked for is built and measured, and the bundle holds what was kept."""

import sys
from dataclasses import replace

import numpy as np
import pytest

pytestmark = pytest.mark.torch

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from exporters import Request, TorchSource, export  # noqa: E402
from exporters.errors import GateFailed, SourceError, ToolMissing  # noqa: E402
from exporters.pipeline import with_base  # noqa: E402
from runtime.bundle import Bundle  # noqa: E402
from runtime.engines import agreement, open_engine  # noqa: E402
from runtime.errors import BundleError, EngineMissing  # noqa: E402

ALL = ("fp32", "fp16", "int8")


def test_everything_asked_for_is_built_measured_and_bundled(traced, pictures, tmp_path):
    pytest.importorskip("nncf")
    stages = []
    request = Request(precisions=ALL, calibration=pictures, base=pictures, allow=True, keep=ALL)
    exported = export(traced, request, pictures, progress=stages.append)
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
    assert bundle.calibration["excess"]
    assert len(bundle.cohort()) == bundle.calibration["things"]
    assert bundle.manifest["provenance"]["calibration"]["pictures"] == len(pictures)
    engine = open_engine(bundle, "openvino", precision="int8")
    assert agreement(engine.embed(pictures.frames), traced.embed(pictures.frames)).min() > 0.9


def test_base_classes_centre_the_embedding_and_fill_the_table(tiny_source, pictures, photos, preprocess):
    source, calibration = with_base(tiny_source, pictures)
    centred = source.embed(pictures.frames)
    assert np.abs(np.linalg.norm(centred, axis=1) - 1).max() < 1e-5
    assert agreement(centred, tiny_source.embed(pictures.frames)).max() < 0.99
    assert calibration.table["things"] == len(calibration.cohort) == 8
    settled = TorchSource("x", tiny_source.graph, preprocess, centres=False)
    assert with_base(settled, pictures)[0] is settled
    one_class = replace(pictures, labels=np.zeros(len(pictures), np.int64))
    assert with_base(tiny_source, one_class) == (tiny_source, None)


def test_a_model_that_does_not_answer_as_its_source_is_not_packed(traced, pictures, spoil):
    traced.model = spoil(traced.model)
    with pytest.raises(GateFailed, match=r"model\.onnx must answer as tiny does.*first diverging layer: network\.3 "):
        export(traced, Request(targets=("onnx",)), pictures)
    exported = export(traced, Request(targets=("onnx",), allow=True), pictures)
    assert not exported.passed
    assert "--allow" in exported.reports[0].reason


def test_weights_that_are_not_finite_are_found_before_anything_is_built(tiny_source, pictures):
    source = tiny_source.centred(np.zeros(16, np.float32))  # a copy
    source.graph.network[3].weight.data[0, 0, 0, 0] = float("nan")
    with pytest.raises(SourceError, match="finite numbers on real pictures"):
        export(source, Request(targets=("onnx",)), pictures)


def test_a_full_disk_leaves_nothing_behind(traced, pictures, tmp_path, monkeypatch):
    bundle = export(traced, Request(targets=("onnx",)), pictures).bundle
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


def test_a_missing_library_is_named_with_its_install_line_before_any_work(traced, pictures, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(ToolMissing, match=r"nncf.*pip install 'edgefs\[export\]'"):
        export(traced, Request(precisions=("int8",), calibration=pictures), pictures, progress=pytest.fail)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(EngineMissing, match=r"tensorrt is not installed.*pip install"):
        export(traced, Request(targets=("tensorrt",)), pictures, progress=pytest.fail)


def test_compiled_models_are_kept_where_the_user_says_so(traced, pictures, tmp_path, monkeypatch):
    bundle = export(traced, Request(targets=("onnx",)), pictures).bundle
    monkeypatch.setenv("EDGEFS_MODEL_CACHE", str(tmp_path))
    first, again = (open_engine(bundle, "openvino").embed(pictures.frames[:1]) for _ in range(2))
    assert [path.suffix for path in tmp_path.iterdir()] == [".blob"]
    np.testing.assert_array_equal(first, again)
