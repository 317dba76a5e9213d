"""Decide for every artifact whether it is kept, and report the reason in a sentence and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from exporters.targets.request import Request
from exporters.verify.candidate_check import CheckResult
from exporters.verify.few_shot import Paired
from exporters.verify.latency import CLOSE, FASTER, SLOWER, Speed


@dataclass(frozen=True)
class Report:
    """One artifact compared with the source. None stands for what was not measured here.

    Attributes:
        target: A name of `exporters.targets.TARGETS`.
        precision: "fp32", "fp16" or "int8".
        file: The file that an engine opens; "" if it was not built.
        bytes: Size of all its files.
        min_cosine: The lowest cosine over all pictures.
        p1_cosine: The first percentile of the cosines.
        neighbour_agreement: Share of pictures whose nearest other picture stays the same.
        accuracy: Few-shot accuracy for each shot count.
        mixed_accuracy: The same, taught in the source's float32 and asked in this artifact.
        accuracy_difference: The lowest difference over the shot counts, in points.
        latency_ms: Median time of one frame on this machine.
        speed: How many times as fast it is as fp32 of the same target, with an interval.
        first_diverging_layer: The first layer that differs, if a gate failed.
        failed: Whether it was not built or did not pass a gate, even if it is kept.
        kept: Whether it is in the bundle.
        reason: Why.
    """

    target: str
    precision: str
    file: str
    bytes: int
    min_cosine: float | None
    p1_cosine: float | None
    neighbour_agreement: float | None
    accuracy: Sequence[Paired]
    mixed_accuracy: Sequence[Paired]
    accuracy_difference: float | None
    latency_ms: float | None
    speed: Speed | None
    first_diverging_layer: str | None
    failed: bool
    kept: bool
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return the report as a dict of plain values."""
        return asdict(self)


def make_reports(results: Sequence[CheckResult], request: Request) -> list[Report]:
    """Return one report for every result."""
    fp32 = {result.candidate.target: result for result in results if result.candidate.precision == "fp32"}
    return [_report(result, fp32.get(result.candidate.target), request) for result in results]


def _decide(result: CheckResult, fp32: CheckResult | None, speed: Speed | None, request: Request) -> tuple[bool, str]:
    """Return whether an artifact is kept, and why. fp32: the same target in float32."""
    candidate = result.candidate
    if not candidate.file:
        return False, candidate.reason
    remark = f"; {candidate.reason}" if candidate.reason else ""
    if result.failed:
        why = "; ".join(result.failed)
        where = f"; first diverging layer: {result.diverges}" if result.diverges else ""
        keeps = request.allow and result.measured is not None  # no engine opens what could not be measured
        return keeps, f"{'kept on demand (--allow) although ' if keeps else ''}{why}{where}{remark}"
    if candidate.file == "model.onnx":
        return True, "the reference of the bundle"
    if candidate.target not in request.targets or candidate.precision not in request.precisions:
        return False, "built only to compare the reduced precisions with"
    if speed is None or fp32 is None or fp32.latency is None or result.latency is None:
        return True, candidate.reason or "as asked"
    found = f"{speed} the speed of fp32 here ({result.latency.p50_ms:.2f} against {fp32.latency.p50_ms:.2f} ms){remark}"
    if speed.result == FASTER:
        return True, f"within tolerance, {found}"
    if speed.result == CLOSE and _size(result) < _size(fp32):
        return True, f"within tolerance and smaller, and the speed is too close to tell: {found}"
    slow = "slower" if speed.result == SLOWER else "neither clearly faster nor smaller"
    if candidate.precision in request.keep:
        return True, f"kept on demand (--keep {candidate.precision}) although it is {slow}: {found}"
    return False, f"it is {slow}: {found}; --keep {candidate.precision} keeps it for another device"


def _size(result: CheckResult) -> int:
    return sum(map(len, result.candidate.files.values()))


def _report(result: CheckResult, fp32: CheckResult | None, request: Request) -> Report:
    candidate, measured, speed = result.candidate, result.measured, None
    if candidate.precision != "fp32" and result.latency and fp32 and fp32.latency:
        speed = result.latency.speed_of(fp32.latency)
    kept, reason = _decide(result, fp32, speed, request)
    return Report(
        target=candidate.target,
        precision=candidate.precision,
        file=candidate.file,
        bytes=_size(result),
        min_cosine=round(measured.min_cosine, 6) if measured else None,
        p1_cosine=round(measured.p1_cosine, 6) if measured else None,
        neighbour_agreement=round(measured.neighbour_agreement, 4) if measured else None,
        accuracy=measured.accuracy if measured else (),
        mixed_accuracy=measured.mixed if measured else (),
        accuracy_difference=measured.accuracy_difference if measured else None,
        latency_ms=result.latency.p50_ms if result.latency else None,
        speed=speed,
        first_diverging_layer=result.diverges,
        failed=bool(result.failed) or not candidate.file,
        kept=kept,
        reason=reason,
    )
