"""Add a TensorRT plan to a bundle that exists already, on the device that will run it. Torch is not needed.

The model, the contract and the fingerprint of the bundle stay as they are, so its galleries stay valid.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from exporters.errors import ExportError
from exporters.rebuilt import extra_files, rebuilt
from exporters.sources.pictures import Pictures
from exporters.targets import target_of
from exporters.targets.request import Request
from exporters.targets.target import Candidate
from exporters.verify.latency import interleaved
from exporters.versions import installed
from runtime.bundle import Artifact, Bundle
from runtime.engines import engine_spec, open_engine

TARGETS = ("tensorrt", "tensorrt-rtx")
MIN_COSINE = {"fp32": 0.999, "fp16": 0.99, "int8": 0.7}  # that a plan must reach on the golden frames


@dataclass(frozen=True)
class AddedPlan:
    """A bundle with a new plan.

    Attributes:
        bundle: The bundle, in memory.
        file: The plan's path in it.
        golden_cosine: Worst agreement with the golden frames; None if the plan could not run on this machine.
        latency_ms: Median time of one frame here; None likewise.
        reason: What should be known about the plan.
    """

    bundle: Bundle
    file: str
    golden_cosine: float | None
    latency_ms: float | None
    reason: str


def add_plan(bundle: Bundle, request: Request, *, progress: Callable[[str], object] = str) -> AddedPlan:
    """Build the plan that a request names, run it if this machine can, and return the bundle with it.

    Args:
        bundle: The bundle; a plan of the same target and precision is replaced.
        request: Exactly one target of TARGETS and one precision, and the options of the build.
        progress: Called with a description of each step as it begins.

    Raises:
        ExportError: The library refuses the network or an option.
        EngineMissing: The library is not installed, or the target is "tensorrt" and there is no GPU.
        EngineError: The plan does not reproduce the golden frames on this machine.
    """
    (name,), (precision,) = request.targets, request.precisions
    if name not in TARGETS:
        raise ExportError(f"--target must be one of {', '.join(TARGETS)}, but is {name!r}")
    target = target_of(name)
    target.check(request)
    if request.calibration is None:  # the ranges of activations are looked at for float16
        frames, _ = bundle.golden()
        request = replace(request, calibration=Pictures(frames, np.arange(len(frames)), (), "golden frames"))
    progress(f"{name} {precision}")
    candidate = target.build(bundle.read("model.onnx"), precision, replace(request, progress=progress))
    made = _with_plan(bundle, candidate)
    if not engine_spec(name).installed():
        return AddedPlan(made, candidate.file, None, None, f"{candidate.reason}; not run, because no GPU is here")
    progress("golden frames and latency")
    engine = open_engine(made, engine=name, precision=precision)
    try:
        (latency,) = interleaved([partial(engine.embed, made.golden()[0][:1])])
        return AddedPlan(made, candidate.file, engine.info.golden_cosine, latency.p50_ms, "run here")
    finally:
        engine.close()


def _with_plan(bundle: Bundle, candidate: Candidate) -> Bundle:
    """Return the same bundle with the candidate's files, in place of those of its target and precision."""
    provenance, folder = bundle.manifest["provenance"], f"{candidate.target}/{candidate.precision}/"
    plan = Artifact(candidate.target, candidate.precision, candidate.file, MIN_COSINE[candidate.precision])
    date = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    record = {"file": candidate.file, "date": date, "versions": installed(), "reason": candidate.reason}
    earlier = [entry for entry in provenance.get("plans", []) if entry["file"] != candidate.file]
    kept = {name: data for name, data in extra_files(bundle).items() if not name.startswith(folder)}
    made = rebuilt(
        bundle,
        extra=kept | dict(candidate.files),
        artifacts=(*(other for other in bundle.artifacts[1:] if not other.file.startswith(folder)), plan),
        provenance={**provenance, "plans": [*earlier, record]},
    )
    if made.fingerprint != bundle.fingerprint:
        raise ExportError(f"the fingerprint of {bundle.where} must stay as it is, but would change; report this")
    return made
