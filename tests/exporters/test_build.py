"""What is built for a request: the baseline, second attempts, refusals, and a target of one's own."""

import sys
from dataclasses import replace
from types import ModuleType

import pytest

pytestmark = pytest.mark.torch

pytest.importorskip("torch")
pytest.importorskip("onnx")

from exporters import ExportError, Request, export  # noqa: E402
from exporters.targets import TARGETS, openvino  # noqa: E402
from exporters.targets.target import Candidate, Target  # noqa: E402


@pytest.fixture
def build_openvino(monkeypatch):
    """Replace a function of the target openvino."""

    def use(**functions):
        monkeypatch.setattr(openvino, "TARGET", replace(openvino.TARGET, **functions))

    return use


def test_an_artifact_that_fails_is_left_out_and_the_export_says_so(traced, pictures, spoil, build_openvino):
    bad = spoil(traced.model)
    file = "openvino/fp16/model.xml"
    build_openvino(build=lambda model, precision, request: openvino.build(
        bad if precision == "fp16" else model, precision, request))  # fmt: skip
    exported = export(traced, Request(targets=("openvino",), precisions=("fp32", "fp16")), pictures)
    failed = exported.reports[-1]
    assert (failed.file, failed.kept, failed.failed, exported.passed) == (file, False, True, False)
    assert "first diverging layer: network.3/Conv" in failed.reason
    assert file not in exported.bundle.manifest["files"]


def test_int8_is_tried_again_without_its_worst_layers_when_it_fails(
    traced, pictures, spoil, build_openvino, monkeypatch
):
    bad, tries = spoil(traced.model), []

    def build(model, precision, request, again=False):
        tries.append((precision, again))
        made = openvino.build(bad if precision == "int8" and not again else model, "fp32", request)
        return replace(made, precision=precision, reason="3 of 9 layers kept in float32" if again else "")

    build_openvino(build=build, build_again=lambda *arguments: build(*arguments, again=True))
    monkeypatch.setattr(
        "exporters.verify.candidate_check.failed_gates",
        lambda _, measured: ["bad"] if measured.min_cosine < 0.9 else [],
    )
    exported = export(traced, Request(targets=("openvino",), precisions=("int8",), calibration=pictures), pictures)
    assert tries == [("fp32", False), ("int8", False), ("int8", True)]
    assert exported.passed
    assert "; 3 of 9 layers kept in float32" in exported.reports[-1].reason


def test_one_precision_that_cannot_be_built_does_not_cost_the_others(traced, pictures, build_openvino):
    def refuse(model, precision, request):
        if precision == "fp16":
            raise ExportError("layer stem is refused")
        return openvino.build(model, precision, request)

    build_openvino(build=refuse)
    exported = export(traced, Request(targets=("openvino",), precisions=("fp32", "fp16")), pictures)
    assert (exported.reports[-1].kept, exported.reports[-1].reason) == (False, "layer stem is refused")
    assert not exported.passed
    assert [artifact.target for artifact in exported.bundle.artifacts] == ["onnx", "openvino"]


def test_a_target_of_ones_own_is_one_module_and_one_line(traced, pictures, monkeypatch):
    """No engine here runs it, so model.onnx is measured in its place."""
    module = ModuleType("toy_target")
    module.TARGET = Target(
        build=lambda _model, precision, _request: Candidate("toy", precision, "toy/x", {"toy/x": b"x"}),
        check=lambda _: None,
        precisions=("fp32",),
    )
    monkeypatch.setitem(sys.modules, "toy_target", module)
    monkeypatch.setitem(TARGETS, "toy", "toy_target")
    exported = export(traced, Request(targets=("toy",)), pictures)
    assert [(a.target, a.file) for a in exported.bundle.artifacts] == [("onnx", "model.onnx"), ("toy", "toy/x")]
    assert exported.bundle.read("toy/x") == b"x"
