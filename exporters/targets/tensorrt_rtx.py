"""The target "tensorrt-rtx": plans for the GPUs of RTX PCs, built on any machine. No GPU is needed.

A plan holds the optimised graph; the PC compiles the kernels when it first uses the plan. One plan serves several GPUs
at no extra size. float16 is the library's main precision. NVIDIA's table lists int8 only for weight-only products, so
an int8 plan that builds may still be slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exporters.errors import ExportError
from exporters.targets.plan import Profile, build_plan, plan_candidate
from exporters.targets.request import Request
from exporters.targets.target import Candidate, Target
from exporters.targets.trtexec import tensorrt_rtx_line
from exporters.targets.typed_model import typed_model
from runtime.engines.nvidia.library import load, quiet_logger

NAME = "tensorrt-rtx"


def check(request: Request) -> None:
    """Raise EngineMissing without the library, and ExportError for an architecture that it does not know."""
    _check_compute(load(NAME), request.compute)


def build(model: bytes, precision: str, request: Request) -> Candidate:
    """Build one plan, with its passport and the ONNX file it came from where that is not model.onnx.

    Raises:
        EngineMissing: The library is not installed.
        ExportError: The library refuses the network or an architecture.
    """
    trt = load(NAME)
    typed = typed_model(model, precision, request.calibration.frames if request.calibration else None)
    profile = Profile(typed.shape, (1, 1, request.max_batch))

    def configure(_builder: Any, _network: Any, config: Any) -> None:
        _set_compute(trt, config, request.compute)
        config.clear_flag(trt.BuilderFlag.TF32)  # float32 is computed as float32

    plan = build_plan(trt, typed.data, profile, configure, strongly_typed=True, progress=request.progress)
    check_well_formed(trt, plan)
    return plan_candidate(
        NAME,
        plan,
        model=model,
        typed=typed,
        profile=profile,
        trtexec=lambda onnx, file: tensorrt_rtx_line(onnx, file, profile, typed.input, request.compute),
        reason=f"built for {', '.join(request.compute)}, not run",
        library_version=str(trt.__version__),
        compute_capabilities=tuple(f"{name[2:-1]}.{name[-1]}" for name in request.compute),
        flags=("strongly typed", "no TF32"),
    )


def check_well_formed(trt: Any, plan: bytes) -> None:
    """Raise ExportError unless a plan is an engine of this version. This needs no driver."""
    _, found = trt.Runtime(quiet_logger(trt)).get_engine_validity(plan)
    wrong = [
        name
        for name in ("MALFORMED_ENGINE", "VERSION_MISMATCH")
        if found & int(getattr(trt.EngineInvalidityDiagnostics, name))
    ]
    if wrong:
        raise ExportError(
            f"tensorrt_rtx {trt.__version__} must accept the plan it built, but finds {', '.join(wrong)}; report this"
        )


def _check_compute(trt: Any, compute: Sequence[str]) -> None:
    known = {name for name in trt.ComputeCapability.__members__ if name.startswith("SM")}
    unknown = [name for name in compute if name not in known]
    if unknown or not compute:
        raise ExportError(
            f"--compute must name some of {', '.join(sorted(known))}, but got {', '.join(compute) or 'none'}"
        )


def _set_compute(trt: Any, config: Any, compute: Sequence[str]) -> None:
    _check_compute(trt, compute)
    config.num_compute_capabilities = len(compute)
    for i, name in enumerate(compute):
        if not config.set_compute_capability(getattr(trt.ComputeCapability, name), i):
            raise ExportError(f"tensorrt_rtx {trt.__version__} does not build for {name}; leave it out")


TARGET = Target(build, check)
