"""Export a source: build every artifact that was asked for, compare each with the source, and bundle what passes.

A reduced precision is left out if it is not faster than fp32 of the same target or not the same recogniser any more;
the report says why. Nothing here depends on where the source came from.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from exporters.build import Progress, build
from exporters.errors import GateFailed
from exporters.onnx.tail import apply_metric
from exporters.sources.check_embeddings import check_embeddings
from exporters.sources.pictures import Pictures
from exporters.sources.source import Source
from exporters.targets import target_of
from exporters.targets.request import Request
from exporters.verify.calibration import Calibration, calibrate, things_of_photos
from exporters.verify.candidate_check import CandidateCheck, CheckResult
from exporters.verify.latency import interleaved
from exporters.verify.report import Report, make_reports
from exporters.versions import installed
from runtime.bundle import Artifact, Bundle

SAMPLE = 16  # pictures for a first look
MIN_CLASSES = 6  # of the fewest pictures that a calibration table needs
MIN_PICTURES = 6


@dataclass(frozen=True, eq=False)
class Exported:
    """The result of an export.

    Attributes:
        bundle: The bundle. `exporters.export` leaves it in memory, and `Bundle.save` writes it.
        reports: One per artifact.
        source_ms: Median time of one frame in the source itself (torch, or ONNX Runtime for a user's file).
        passed: Whether every artifact was built and passed its gates.
    """

    bundle: Bundle
    reports: Sequence[Report]
    source_ms: float
    passed: bool


def export(source: Source, request: Request, pictures: Pictures, *, progress: Progress = str) -> Exported:
    """Build, verify and bundle a source.

    Args:
        source: The embedder: a TorchSource, or what `open_onnx` or `torchvision_source` returns.
        request: The targets, the precisions and further options.
        pictures: What every artifact is verified on; see `verification_pictures`.
        progress: Called with a description of each step as it begins.

    Raises:
        GateFailed: model.onnx does not answer as the source does, and `request.allow` is False.
        ExportError: The source cannot be exported.
        EngineMissing: TensorRT was asked for but is not installed.
    """
    for name in request.targets:
        target_of(name).check(request)
    progress("base classes")
    check_embeddings(source, pictures.frames[:: max(1, len(pictures) // SAMPLE)])
    source, calibration = with_base(source, request.base)
    progress("ONNX")
    model = source.to_onnx(exporter=request.exporter, slim=request.slim)
    progress("reference")
    check = CandidateCheck(source, model, pictures, threads=request.threads)
    results: list[CheckResult] = []
    try:
        for result in build(model, request, check, progress):
            results.append(result)
            if result.failed and result.candidate.file == "model.onnx" and not request.allow:
                raise GateFailed(
                    f"model.onnx must answer as {source.name} does, but {'; '.join(result.failed)}; first diverging "
                    f"layer: {result.diverges or 'not found'}; try --exporter legacy, or keep it with --allow"
                )
        progress("latency")
        source_ms = _time(results, source, pictures.frames[:1])
    finally:
        for result in results:
            result.close()
    progress("bundle")
    reports = make_reports(results, request)
    bundle = _bundle(check, request, results, reports, calibration)
    return Exported(bundle, reports, source_ms, not any(report.failed for report in reports))


def with_base(source: Source, base: Pictures | None) -> tuple[Source, Calibration | None]:
    """Centre a source by the mean of its base classes, if it allows that, and make the rejection table.

    Returns:
        The source and the table. Without six classes of six pictures there is no table, and the device then accepts
        every stranger; with fewer than six classes of two pictures the source is not centred either.
    """
    if base is None or base.classes(fewest=2) < MIN_CLASSES:
        return source, None
    features = source.features(base.frames) if source.centres else source.embed(base.frames)
    if source.centres and source.metric == "cosine":
        mean = np.asarray(features.mean(axis=0, dtype=np.float64), np.float32)
        source, features = source.centred(mean), apply_metric(features, "cosine", mean)
    if base.classes(fewest=MIN_PICTURES) < MIN_CLASSES:
        return source, None
    kinds = [str(label) for label in base.labels]
    return source, calibrate(things_of_photos(features, kinds, ["base"] * len(kinds)), metric=source.metric)


def _time(results: Sequence[CheckResult], source: Source, frame: NDArray[np.uint8]) -> float:
    """Set the latency of every result whose engine is open, and return the median time of the source, ms."""
    timed = [(result, result.engine) for result in results if result.engine is not None]
    calls = [partial(source.embed, frame), *(partial(engine.embed, frame) for _, engine in timed)]
    own, *others = interleaved(calls)
    for (result, _), latency in zip(timed, others, strict=True):
        result.latency = latency
    return own.p50_ms


def _bundle(
    check: CandidateCheck,
    request: Request,
    results: Sequence[CheckResult],
    reports: Sequence[Report],
    calibration: Calibration | None,
) -> Bundle:
    kept = [
        result
        for result, report in zip(results, reports, strict=True)
        if report.kept and report.file != "model.onnx"  # every bundle has that one
    ]
    extra = {name: data for result in kept for name, data in result.candidate.files.items() if name != "model.onnx"}
    candidates = [(result.candidate, result.golden_floor()) for result in kept]
    artifacts = tuple(Artifact(made.target, made.precision, made.file, floor) for made, floor in candidates)
    provenance = {
        "source": check.source.facts,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "versions": installed(),
        "exporter": request.exporter,
        "calibration": request.calibration and request.calibration.facts(),
        "base": request.base and request.base.facts(),
        "verified_on": check.pictures.facts(),
        "artifacts": [report.to_json() for report in reports],
    }
    description = f"{check.source.name}, exported by edgefs"
    told = {"calibration": calibration.table, "cohort": calibration.cohort} if calibration else {}
    return check.bundle(extra, artifacts, description=description, provenance=provenance, **told)
