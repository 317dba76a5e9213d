"""The verdict: what fails is left out, what does not pay is left out, what was asked for by --allow stays."""

import pytest

pytestmark = pytest.mark.torch

pytest.importorskip("torch")
pytest.importorskip("onnx")

from exporters.targets.target import Candidate  # noqa: E402
from exporters.verify.candidate_check import Outcome  # noqa: E402
from exporters.verify.few_shot import Paired  # noqa: E402
from exporters.verify.gates import Latency, Measured, failed_gates, interleaved  # noqa: E402
from exporters.verify.report import judge  # noqa: E402


def measured(cosine: float = 1.0, difference: float = 0.0) -> Measured:
    paired = Paired(5, 1, 4, 600, 80.0, 80.0 + difference, 1.0, difference, 0.1)
    return Measured(cosine, cosine, 1.0, (paired,))


def outcome(target: str, precision: str, p50_ms: float | None, *, failed: tuple[str, ...] = ()) -> Outcome:
    file = "model.onnx" if (target, precision) == ("onnx", "fp32") else f"{target}/{precision}/model"
    latency = None if p50_ms is None else Latency(p50_ms, 0.9 * p50_ms)
    return Outcome(
        Candidate(target, precision, file, {file: b"123"}, "a remark"), measured(), None, failed, None, latency
    )


def verdicts(outcomes, *, targets=("onnx", "openvino", "tensorrt"), precisions=("fp32", "fp16", "int8"), allow=False):
    return [(report.kept, report.reason) for report in judge(outcomes, targets, precisions, allow=allow)]


def test_a_reduced_precision_must_be_faster_than_fp32_of_its_own_target():
    outcomes = [
        outcome("onnx", "fp32", 4.0),
        outcome("openvino", "fp32", 2.0),
        outcome("openvino", "fp16", 1.0),
        outcome("openvino", "int8", 3.0),
    ]
    (first, _), (second, _), (faster, why), (slower, why_not) = verdicts(outcomes)
    assert (first, second, faster, slower) == (True, True, True, False)
    assert why == "within tolerance, 2.00 times the speed of fp32 here (1.00 against 2.00 ms); a remark"
    assert why_not.startswith("it does not pay: 0.67 times")
    assert verdicts(outcomes, allow=True)[-1][0]


def test_a_hair_faster_is_noise():
    outcomes = [outcome("openvino", "fp32", 2.0), outcome("openvino", "fp16", 1.97)]
    assert not verdicts(outcomes)[1][0]


def test_a_better_median_alone_is_luck():
    assert Latency(1.0, 0.5).beats(Latency(2.0, 1.0))
    assert not Latency(1.0, 1.0).beats(Latency(2.0, 1.0))
    assert not Latency(2.0, 0.5).beats(Latency(2.0, 1.0))


def test_a_failed_gate_comes_before_speed():
    outcomes = [outcome("openvino", "fp32", 2.0), outcome("openvino", "int8", 0.5, failed=("it lost 3 points",))]
    assert verdicts(outcomes)[1] == (False, "it lost 3 points; a remark")
    assert verdicts(outcomes, allow=True)[1] == (True, "kept on demand (--allow) although it lost 3 points; a remark")


def test_the_yardstick_nobody_asked_for_is_not_kept():
    outcomes = [outcome("onnx", "fp32", 4.0), outcome("openvino", "fp32", 2.0), outcome("openvino", "fp16", 1.0)]
    assert [kept for kept, _ in verdicts(outcomes, targets=("openvino",), precisions=("fp16",))] == [True, False, True]


def test_what_cannot_run_here_is_kept_with_its_remark_and_what_was_not_built_is_not():
    plan = outcome("tensorrt", "fp16", None)
    nothing = Outcome(Candidate("tensorrt", "int8", reason="layer stem is refused"))
    assert verdicts([plan, nothing]) == [(True, "a remark"), (False, "layer stem is refused")]
    assert [report.failed for report in judge([plan, nothing], ["tensorrt"], ["fp16", "int8"], allow=False)] == [
        False,
        True,
    ]


def test_what_no_engine_opens_cannot_be_allowed():
    broken = Outcome(Candidate("openvino", "int8", "a.xml", {"a.xml": b""}), failed=("refused",))
    assert verdicts([broken], allow=True) == [(False, "refused")]


@pytest.mark.parametrize(("precision", "found", "message"), [
    ("fp32", measured(0.9998), "at least 0.9999"),
    ("fp16", measured(0.99), "at least 0.999"),
    ("fp16", measured(1.0, -0.6), "1-shot accuracy must not lose more than 0.5 points, but loses 0.60"),
    ("int8", measured(0.9, -1.1), "more than 1.0 points"),
    ("fp32", Measured(float("nan"), 0, 0, ()), "lowest cosine"),
    ("int8", Measured(1.0, 1.0, 1.0, ()), "five classes"),
])  # fmt: skip
def test_every_gate_says_what_must_hold_and_what_was_found(precision, found, message):
    assert any(message in line for line in failed_gates(precision, found))


@pytest.mark.parametrize(
    ("precision", "found"), [("int8", measured(0.7, -0.9)), ("fp16", measured(0.999, 2.0)), ("fp32", measured())]
)
def test_a_gain_never_fails_and_int8_is_judged_by_accuracy_alone(precision, found):
    assert failed_gates(precision, found) == []


def test_calls_are_timed_in_turn():
    seen = []
    times = interleaved([lambda: seen.append("a"), lambda: seen.append("b")])
    assert len(times) == 2
    assert seen.count("a") == seen.count("b")
    assert 5 < "".join(seen).count("ab") < len(seen) // 2  # in random order
