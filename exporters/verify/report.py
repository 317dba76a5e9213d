"""The verdict on every artefact: kept or left out, and why, in words and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from exporters.verify.candidate_check import Outcome
from exporters.verify.few_shot import Paired
from exporters.verify.gates import Latency


@dataclass(frozen=True)
class Report:
    """One artefact beside torch float32.

    bytes: of all its files.  latency_ms: median of one frame on this machine.  None: not measured here.
    accuracy_difference: the worst over the shot counts, in points.
    failed: not built, or a gate not passed, even if allowed.
    """

    target: str
    precision: str
    file: str
    bytes: int
    min_cosine: float | None
    p1_cosine: float | None
    neighbour_agreement: float | None
    accuracy: Sequence[Paired]
    accuracy_difference: float | None
    latency_ms: float | None
    first_diverging_layer: str | None
    failed: bool
    kept: bool
    reason: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def judge(
    outcomes: Sequence[Outcome], targets: Sequence[str], precisions: Sequence[str], *, allow: bool
) -> list[Report]:
    """One report for every outcome. allow: keep also what failed or does not pay."""
    fp32 = {o.candidate.target: o.latency for o in outcomes if o.candidate.precision == "fp32"}
    reports = []
    for outcome in outcomes:
        candidate = outcome.candidate
        asked = candidate.target in targets and candidate.precision in precisions
        kept, reason = _verdict(outcome, fp32.get(candidate.target), asked=asked, allow=allow)
        reports.append(_report(outcome, kept, reason))
    return reports


def _verdict(outcome: Outcome, fp32: Latency | None, *, asked: bool, allow: bool) -> tuple[bool, str]:
    candidate, latency = outcome.candidate, outcome.latency
    if not candidate.file:
        return False, candidate.reason
    remark = f"; {candidate.reason}" if candidate.reason else ""
    if outcome.failed:
        why = "; ".join(outcome.failed)
        where = f"; first diverging layer: {outcome.diverges}" if outcome.diverges else ""
        loads = outcome.measured is not None  # what no engine opens cannot be allowed either
        return allow and loads, f"{'kept on demand (--allow) although ' if allow and loads else ''}{why}{where}{remark}"
    if candidate.file == "model.onnx":
        return True, "the reference of the bundle"
    if not asked:
        return False, "built only as the yardstick of the reduced precisions"
    if candidate.precision == "fp32" or latency is None or fp32 is None:
        return True, candidate.reason or "as asked"
    p50_ms, fp32_ms = latency.p50_ms, fp32.p50_ms
    speed = f"{fp32_ms / p50_ms:.2f} times the speed of fp32 here ({p50_ms:.2f} against {fp32_ms:.2f} ms){remark}"
    if latency.beats(fp32):
        return True, f"within tolerance, {speed}"
    return allow, f"{'kept on demand (--allow) although it' if allow else 'it'} does not pay: {speed}"


def _report(outcome: Outcome, kept: bool, reason: str) -> Report:
    candidate, measured = outcome.candidate, outcome.measured
    return Report(
        target=candidate.target,
        precision=candidate.precision,
        file=candidate.file,
        bytes=sum(map(len, candidate.files.values())),
        min_cosine=round(measured.min_cosine, 6) if measured else None,
        p1_cosine=round(measured.p1_cosine, 6) if measured else None,
        neighbour_agreement=round(measured.neighbour_agreement, 4) if measured else None,
        accuracy=measured.accuracy if measured else (),
        accuracy_difference=measured.accuracy_difference if measured else None,
        latency_ms=outcome.latency.p50_ms if outcome.latency else None,
        first_diverging_layer=outcome.diverges,
        failed=bool(outcome.failed) or not candidate.file,
        kept=kept,
        reason=reason,
    )
