"""Every artefact that was asked for, built and put on trial; fp32 of a CPU target always, as the yardstick."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from exporters.errors import ExportError, ToolMissing
from exporters.request import Request
from exporters.targets import tensorrt, tensorrt_rtx
from exporters.targets.onnx_cpu import to_onnx_cpu
from exporters.targets.openvino import require, to_openvino
from exporters.targets.target import PRECISIONS, TARGETS, Candidate
from exporters.verify.candidate_check import Outcome, Trial
from runtime.engines.tensorrt_library import load
from runtime.errors import EngineError

Progress = Callable[[str], object]


def check_tools(request: Request) -> None:
    """Miss libraries, and architectures they do not know, now and not after minutes: ToolMissing, EngineMissing."""
    if "openvino" in request.targets:
        require(request.precisions)
    if "tensorrt" in request.targets:
        load("tensorrt")
    if "tensorrt-rtx" in request.targets:
        tensorrt_rtx.check_compute(load("tensorrt-rtx"), request.compute)


def build(model: bytes, request: Request, trial: Trial, progress: Progress) -> Iterator[Outcome]:
    """One outcome after the other, measured and still open, model.onnx first. progress: gets the name of the next."""
    reduced = [precision for precision in PRECISIONS[1:] if precision in request.precisions]
    for target in ("onnx", *(target for target in TARGETS[1:] if target in request.targets)):
        if target.startswith("tensorrt"):
            progress(f"{target} {' '.join(request.precisions)}")
            yield from map(trial.run, _tensorrt(target, model, request, trial.source.preprocess.shape))
            continue
        for precision in ("fp32", *(reduced if target in request.targets else ())):
            progress(f"{target} {precision}")
            try:
                outcome = _on_cpu(target, precision, model, request, trial, progress)
            except ToolMissing:
                raise
            except ExportError as error:  # one precision that cannot be built does not cost the others
                outcome = Outcome(Candidate(target, precision, reason=str(error)))
            yield outcome


def _on_cpu(target: str, precision: str, model: bytes, request: Request, trial: Trial, progress: Progress) -> Outcome:
    frames = request.calibration_frames
    if target == "onnx":
        return trial.run(to_onnx_cpu(model, precision, calibration=frames))
    outcome = trial.run(to_openvino(model, precision, calibration=frames))
    if precision == "int8" and outcome.failed and outcome.measured:
        outcome.close()
        progress("openvino int8, without its worst layers")
        outcome = trial.run(to_openvino(model, precision, calibration=frames, rescue=True))
    return outcome


def _tensorrt(target: str, model: bytes, request: Request, shape: tuple[int, int, int]) -> list[Candidate]:
    options: dict[str, Any] = {
        "precisions": request.precisions,
        "shape": shape,
        "calibration": request.calibration_frames,
        "max_batch": request.max_batch,
    }
    try:
        if target == "tensorrt":
            return tensorrt.candidates(model, **options)
        return tensorrt_rtx.candidates(model, **options, compute=request.compute)
    except EngineError as error:  # a library without a GPU or driver
        return [Candidate(target, precision, reason=str(error)) for precision in request.precisions]
