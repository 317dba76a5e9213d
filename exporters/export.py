"""A source becomes a bundle: build what was asked, hold each artefact against the reference, keep what has earned it.

fp32 of a target is the yardstick of its reduced precisions: one that is not faster, or not the same recogniser any
more, is left out and the report says why. Nothing here knows where the source came from.
"""

from __future__ import annotations

import datetime
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters import tensorrt, tensorrt_rtx
from exporters.calibrate import calibration_table
from exporters.candidate import Candidate
from exporters.errors import ExportError, GateFailed, PicturesError, ToolMissing
from exporters.onnx_cpu import to_onnx_cpu
from exporters.openvino import require, to_openvino
from exporters.pictures import Pictures
from exporters.report import Report, judge
from exporters.sensible import check_embeds
from exporters.source import Source
from exporters.tail import finished
from exporters.trial import Outcome, Trial
from exporters.verify import interleaved
from runtime.bundle import Artifact, Bundle
from runtime.engines.tensorrt_library import load
from runtime.errors import EngineError

TARGETS = ("onnx", "openvino", "tensorrt", "tensorrt-rtx")
PRECISIONS = ("fp32", "fp16", "int8")
SAMPLE = 16  # pictures for a first look
MIN_CLASSES = 6  # five of a gallery and a stranger
PACKAGES = ("torch", "torchvision", "onnx", "onnxscript", "onnxruntime", "openvino", "nncf", "tensorrt", "tensorrt_rtx")
Progress = Callable[[str], object]


@dataclass(frozen=True)
class Request:
    """What is asked of an export.

    calibration: for int8.  base: classes that no gallery will hold, for the base mean and the rejection table.
    allow: keep what failed a gate or does not pay.  exporter, slim: see `exporters.onnx`.
    max_batch: of TensorRT's profiles.  compute: architectures that TensorRT for RTX builds for.
    threads: of the engines while they are measured.
    """

    targets: Sequence[str] = ("onnx", "openvino")
    precisions: Sequence[str] = ("fp32",)
    calibration: Pictures | None = None
    base: Pictures | None = None
    allow: bool = False
    exporter: str = "dynamo"
    slim: bool = False
    max_batch: int = 8
    compute: Sequence[str] = ("SM86", "SM120")
    threads: int = 2

    def __post_init__(self) -> None:
        for asked, known in ((self.targets, TARGETS), (self.precisions, PRECISIONS)):
            wrong = [name for name in asked if name not in known]
            if wrong or not asked:
                raise ExportError(
                    f"targets and precisions must be some of {', '.join(known)}, but got {wrong or 'none'}"
                )
        if "int8" in self.precisions and self.calibration is None:
            raise PicturesError(
                "int8 must be calibrated on pictures like the device's; name them: --calibrate FOLDER or VIDEO"
            )


@dataclass(frozen=True, eq=False)
class Exported:
    """bundle: in memory, `save` writes it.  source_ms: one frame in eager torch (a user's ONNX: in ONNX Runtime).

    passed: whether all that was built passed its gates.
    """

    bundle: Bundle
    reports: Sequence[Report]
    source_ms: float
    passed: bool


def export(source: Source, request: Request, pictures: Pictures, *, progress: Progress = str) -> Exported:
    """Build, verify and pack.

    pictures: what every artefact is verified on.  progress: called with each stage's name as it begins.
    Raises ExportError; EngineMissing (no TensorRT where it was asked for); GateFailed when model.onnx itself does not
    answer as the source does (unless allowed).
    """
    _require(request)
    progress("base classes")
    check_embeds(source, pictures.frames[:: max(1, len(pictures) // SAMPLE)])
    source, calibration = with_base(source, request.base)
    progress("ONNX")
    model = source.to_onnx(exporter=request.exporter, slim=request.slim)
    progress("reference")
    trial = Trial(source, model, pictures, source.embed(pictures.frames), threads=request.threads)
    outcomes: list[Outcome] = []
    try:
        for outcome in _outcomes(model, request, trial, progress):
            outcomes.append(outcome)
            if outcome.failed and outcome.candidate.file == "model.onnx" and not request.allow:
                raise GateFailed(
                    f"model.onnx must answer as {source.name} does, but {'; '.join(outcome.failed)}; first diverging "
                    f"layer: {outcome.diverges or 'not found'}; try --exporter legacy, or keep it with --allow"
                )
        progress("latency")
        source_ms = _time(outcomes, source, pictures.frames[:1])
    finally:
        for outcome in outcomes:
            outcome.close()
    reports = judge(outcomes, request.targets, request.precisions, allow=request.allow)
    progress("bundle")
    bundle = _bundle(trial, request, outcomes, reports, calibration)
    return Exported(bundle, reports, source_ms, not any(report.failed for report in reports))


def _require(request: Request) -> None:
    """Miss libraries, and architectures they do not know, now and not after minutes."""
    if "openvino" in request.targets:
        require(request.precisions)
    if "tensorrt" in request.targets:
        load("tensorrt")
    if "tensorrt-rtx" in request.targets:
        tensorrt_rtx.check_compute(load("tensorrt-rtx"), request.compute)


def with_base(source: Source, base: Pictures | None) -> tuple[Source, Mapping[str, Any] | None]:
    """Centre a source by its base classes where its metric wants that, and draw up the rejection table.

    Without enough classes of two pictures (a video, say) there is no table: strangers are told by the gallery alone.
    """
    if base is None or base.classes(fewest=2) < MIN_CLASSES:
        return source, None
    features = source.features(base.frames) if source.centres else source.embed(base.frames)
    if source.centres and source.metric == "cosine":
        mean = np.asarray(features.mean(axis=0, dtype=np.float64), np.float32)
        source, features = source.centred(mean), finished(features, "cosine", mean)
    return source, calibration_table(features, base.labels, metric=source.metric)


def _outcomes(model: bytes, request: Request, trial: Trial, progress: Progress) -> Iterator[Outcome]:
    """Every artefact that is needed, built and measured; fp32 of a CPU target always, as the yardstick."""
    frames = None if request.calibration is None else request.calibration.frames
    reduced = [precision for precision in PRECISIONS[1:] if precision in request.precisions]
    for target in ("onnx", *(target for target in TARGETS[1:] if target in request.targets)):
        if target.startswith("tensorrt"):
            progress(f"{target} {' '.join(request.precisions)}")
            yield from map(trial.run, _tensorrt(target, model, request, trial))
            continue
        for precision in ("fp32", *(reduced if target in request.targets else ())):
            progress(f"{target} {precision}")
            try:
                outcome = _outcome(target, precision, model, frames, trial, progress)
            except ToolMissing:
                raise
            except ExportError as error:  # one precision that cannot be built does not cost the others
                outcome = Outcome(Candidate(target, precision, reason=str(error)))
            yield outcome


def _outcome(
    target: str, precision: str, model: bytes, frames: NDArray[np.uint8] | None, trial: Trial, progress: Progress
) -> Outcome:
    if target == "onnx":
        return trial.run(to_onnx_cpu(model, precision, calibration=frames))
    outcome = trial.run(to_openvino(model, precision, calibration=frames))
    if precision == "int8" and outcome.failed and outcome.measured:
        outcome.close()
        progress("openvino int8, without its worst layers")
        outcome = trial.run(to_openvino(model, precision, calibration=frames, rescue=True))
    return outcome


def _tensorrt(target: str, model: bytes, request: Request, trial: Trial) -> list[Candidate]:
    options: dict[str, Any] = {
        "precisions": request.precisions,
        "shape": trial.source.preprocess.shape,
        "calibration": None if request.calibration is None else request.calibration.frames,
        "max_batch": request.max_batch,
    }
    try:
        if target == "tensorrt":
            return tensorrt.candidates(model, **options)
        return tensorrt_rtx.candidates(model, **options, compute=request.compute)
    except EngineError as error:  # a library without a GPU or driver
        return [Candidate(target, precision, reason=str(error)) for precision in request.precisions]


def _time(outcomes: Sequence[Outcome], source: Source, frame: NDArray[np.uint8]) -> float:
    """Fill in the latencies of all that is open, and return the source's."""
    opened = {str(i): outcome.engine for i, outcome in enumerate(outcomes) if outcome.engine is not None}
    calls: dict[str, Callable[[], object]] = {"source": lambda: source.embed(frame)}
    calls |= {i: lambda engine=engine: engine.embed(frame) for i, engine in opened.items()}  # type: ignore[misc]
    times = interleaved(calls)
    for i in opened:
        outcomes[int(i)].latency = times[i]
    return times["source"].p50_ms


def _bundle(
    trial: Trial,
    request: Request,
    outcomes: Sequence[Outcome],
    reports: Sequence[Report],
    calibration: Mapping[str, Any] | None,
) -> Bundle:
    kept = [o for o, report in zip(outcomes, reports, strict=True) if report.kept and o.candidate.file != "model.onnx"]
    extra = {name: data for o in kept for name, data in o.candidate.files.items() if name != "model.onnx"}
    artifacts = tuple(
        Artifact(o.candidate.target, o.candidate.precision, o.candidate.file, trial.golden_floor(o)) for o in kept
    )
    provenance = {
        "source": trial.source.facts,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "versions": _versions(),
        "exporter": request.exporter,
        "calibration": request.calibration and request.calibration.facts(),
        "base": request.base and request.base.facts(),
        "verified_on": trial.pictures.facts(),
        "artifacts": [report.to_json() for report in reports],
    }
    description = f"{trial.source.name}, exported by edgefs"
    return trial.bundle(extra, artifacts, description=description, calibration=calibration, provenance=provenance)


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
