"""Artifacts that fail or are slower are left out; --allow keeps the former and --keep the latter."""

from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.torch

pytest.importorskip("torch")
pytest.importorskip("onnx")

from exporters.targets.target import Candidate  # noqa: E402
from exporters.verify.candidate_check import CheckResult  # noqa: E402
from exporters.verify.few_shot import Paired  # noqa: E402
from exporters.verify.gates import Measured  # noqa: E402
from exporters.verify.latency import Latency  # noqa: E402
from exporters.verify.report import make_reports  # noqa: E402


def measured(cosine: float = 1.0, difference: float = 0.0) -> Measured:
    paired = Paired(5, 1, 4, 600, 80.0, 80.0 + difference, 1.0, difference, 0.1)
    return Measured(cosine, cosine, 1.0, (paired,))


def checked(
    target: str, precision: str, p50_ms: float | None, *, failed: tuple[str, ...] = (), size: int | None = None
) -> CheckResult:
    file = "model.onnx" if (target, precision) == ("onnx", "fp32") else f"{target}/{precision}/model"
    latency = None if p50_ms is None else Latency((p50_ms,) * 9)
    size = {"fp32": 4, "fp16": 2, "int8": 1}[precision] if size is None else size
    return CheckResult(
        Candidate(target, precision, file, {file: b"1" * size}, "a remark"), measured(), None, failed, None, latency
    )


def asked(*, targets=("onnx", "openvino", "tensorrt"), precisions=("fp32", "fp16", "int8"), allow=False, keep=()):
    return SimpleNamespace(targets=targets, precisions=precisions, allow=allow, keep=keep)


def decisions(results, **request):
    return [(report.kept, report.reason) for report in make_reports(results, asked(**request))]


def test_a_reduced_precision_must_not_be_slower_than_fp32_of_its_own_target():
    results = [
        checked("onnx", "fp32", 4.0),
        checked("openvino", "fp32", 2.0),
        checked("openvino", "fp16", 1.0),
        checked("openvino", "int8", 3.0),
    ]
    (first, _), (second, _), (faster, why), (slower, why_not) = decisions(results)
    assert (first, second, faster, slower) == (True, True, True, False)
    found = "2.00 times (2.00 to 2.00) the speed of fp32 here (1.00 against 2.00 ms); a remark"
    assert why == f"within tolerance, {found}"
    assert why_not.startswith("it is slower: 0.67 times")
    assert why_not.endswith("--keep int8 keeps it for another device")
    assert not decisions(results, allow=True)[-1][0], "--allow waives the gates only"
    assert decisions(results, keep=("int8",))[-1][1].startswith("kept on demand (--keep int8) although it is slower")


@pytest.mark.parametrize("p50_ms", [1.97, 2.03])
def test_too_close_to_tell_keeps_the_smaller_file(p50_ms):
    results = [checked("openvino", "fp32", 2.0), checked("openvino", "fp16", p50_ms)]
    assert decisions(results)[1][0]
    assert "the speed is too close to tell" in decisions(results)[1][1]
    kept, reason = decisions([results[0], checked("openvino", "fp16", p50_ms, size=5)])[1]
    assert not kept
    assert reason.startswith("it is neither clearly faster nor smaller")


def test_a_failed_gate_comes_before_speed():
    results = [checked("openvino", "fp32", 2.0), checked("openvino", "int8", 0.5, failed=("it lost 3 points",))]
    assert decisions(results)[1] == (False, "it lost 3 points; a remark")
    assert not decisions(results, keep=("int8",))[1][0], "--keep waives the speed only"
    assert decisions(results, allow=True)[1] == (True, "kept on demand (--allow) although it lost 3 points; a remark")


def test_an_fp32_artifact_built_only_for_comparison_is_not_kept():
    results = [checked("onnx", "fp32", 4.0), checked("openvino", "fp32", 2.0), checked("openvino", "fp16", 1.0)]
    assert [kept for kept, _ in decisions(results, targets=("openvino",), precisions=("fp16",))] == [True, False, True]


def test_what_cannot_run_here_is_kept_with_its_remark_and_what_was_not_built_is_not():
    plan = checked("tensorrt", "fp16", None)
    nothing = CheckResult(Candidate("tensorrt", "int8", reason="layer stem is refused"))
    assert decisions([plan, nothing]) == [(True, "a remark"), (False, "layer stem is refused")]
    request = asked(targets=("tensorrt",), precisions=("fp16", "int8"))
    assert [report.failed for report in make_reports([plan, nothing], request)] == [False, True]


def test_what_no_engine_opens_cannot_be_allowed():
    broken = CheckResult(Candidate("openvino", "int8", "a.xml", {"a.xml": b""}), failed=("refused",))
    assert decisions([broken], allow=True) == [(False, "refused")]
