"""Build and check every artifact that was asked for, and fp32 of every CPU target, to compare the others with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from exporters.errors import ExportError, ToolMissing
from exporters.targets import TARGETS, target_of
from exporters.targets.request import Request
from exporters.targets.target import Candidate
from exporters.verify.candidate_check import CandidateCheck, CheckResult
from runtime.engines import cpu_engine
from runtime.errors import EngineError

Progress = Callable[[str], object]


def build(model: bytes, request: Request, check: CandidateCheck, progress: Progress) -> Iterator[CheckResult]:
    """Build and measure one artifact after the other, model.onnx first; their engines stay open.

    Args:
        model: The float32 ONNX file.
        request: What to build.
        check: Measures each artifact.
        progress: Called with a description of each step as it begins.

    Raises:
        ToolMissing: A library is not installed.
    """
    if request.calibration is None:  # no int8 is asked for, but the ranges of activations are looked at for float16
        request = replace(request, calibration=check.pictures)
    for name in TARGETS:
        asked = request.precisions if name in request.targets else ()
        baseline = name == "onnx" or (asked and cpu_engine(name))
        for precision in target_of(name).precisions if asked or baseline else ():
            if precision in asked or (baseline and precision == "fp32"):
                progress(f"{name} {precision}")
                yield _build_one(name, precision, model, request, check, progress)


def _build_one(
    name: str, precision: str, model: bytes, request: Request, check: CandidateCheck, progress: Progress
) -> CheckResult:
    """Build one artifact, a second time if it fails. A precision that cannot be built does not end the export."""
    target = target_of(name)
    try:
        result = check.run(target.build(model, precision, request))
        if result.failed and result.measured and target.build_again:
            progress(f"{name} {precision}, second attempt")
            if again := target.build_again(model, precision, request):
                result.close()
                result = check.run(again)
    except ToolMissing:
        raise
    except (ExportError, EngineError) as error:
        result = CheckResult(Candidate(name, precision, reason=str(error)))
    return result
