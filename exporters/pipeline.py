"""A source becomes a bundle: build what was asked, hold each artefact against the reference, keep what has earned it.

fp32 of a target is the yardstick of its reduced precisions: one that is not faster, or not the same recogniser any
more, is left out and the report says why. Nothing here knows where the source came from.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.build import Progress, build, check_tools
from exporters.errors import GateFailed
from exporters.onnx.tail import finished
from exporters.request import Request
from exporters.sources.check_embeddings import check_embeddings
from exporters.sources.pictures import Pictures
from exporters.sources.source import Source
from exporters.verify.calibration import calibration_table
from exporters.verify.candidate_check import Outcome, Trial
from exporters.verify.gates import interleaved
from exporters.verify.report import Report, judge
from exporters.versions import installed
from runtime.bundle import Artifact, Bundle

SAMPLE = 16  # pictures for a first look
MIN_CLASSES = 6  # five of a gallery and a stranger


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
    check_tools(request)
    progress("base classes")
    check_embeddings(source, pictures.frames[:: max(1, len(pictures) // SAMPLE)])
    source, calibration = with_base(source, request.base)
    progress("ONNX")
    model = source.to_onnx(exporter=request.exporter, slim=request.slim)
    progress("reference")
    trial = Trial(source, model, pictures, source.embed(pictures.frames), threads=request.threads)
    outcomes: list[Outcome] = []
    try:
        for outcome in build(model, request, trial, progress):
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


def _time(outcomes: Sequence[Outcome], source: Source, frame: NDArray[np.uint8]) -> float:
    """Fill in the latencies of all that is open, and return the source's p50, ms."""
    timed = [(outcome, outcome.engine) for outcome in outcomes if outcome.engine is not None]
    calls = [partial(source.embed, frame), *(partial(engine.embed, frame) for _, engine in timed)]
    own, *others = interleaved(calls)
    for (outcome, _), latency in zip(timed, others, strict=True):
        outcome.latency = latency
    return own.p50_ms


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
        "versions": installed(),
        "exporter": request.exporter,
        "calibration": request.calibration and request.calibration.facts(),
        "base": request.base and request.base.facts(),
        "verified_on": trial.pictures.facts(),
        "artifacts": [report.to_json() for report in reports],
    }
    description = f"{trial.source.name}, exported by edgefs"
    return trial.bundle(extra, artifacts, description=description, calibration=calibration, provenance=provenance)
