"""TensorRT for RTX: plans for the GPUs of RTX PCs, built ahead of time on any machine; no GPU is needed.

A plan holds the optimised graph; kernels are compiled on the PC at first use. One plan serves several GPUs at no extra
size. float16 is the library's main precision; NVIDIA's table lists int8 for weight-only products, so a plan of int8
convolutions that builds says nothing about speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.errors import ExportError
from exporters.targets.plan import Profile, Progress, build_plan
from exporters.targets.plan_sidecar import passported
from exporters.targets.target import Candidate
from exporters.targets.trtexec import tensorrt_rtx_line
from exporters.targets.typed_model import TypedModel, typed_model
from runtime.engines.tensorrt_library import load, quiet_logger

TARGET = "tensorrt-rtx"
COMPUTE = ("SM86", "SM89", "SM120")  # GeForce 30, 40, 50


def candidates(
    model: bytes,
    *,
    precisions: Sequence[str],
    shape: tuple[int, int, int],
    calibration: NDArray[np.uint8] | None = None,
    max_batch: int = 8,
    compute: Sequence[str] = COMPUTE,
    progress: Progress | None = None,
) -> list[Candidate]:
    """Build one plan per precision, with its passport and the ONNX file it came from where that is not model.onnx.

    model: the float32 ONNX file.  shape: (H, W, C).  calibration: `uint8 [N, H, W, C]`, for int8.
    compute: of "SM75", "SM80", "SM86", "SM89", "SM120", "SM121".
    Raises EngineMissing without the library; what cannot be built is a candidate without files, with the reason.
    """
    trt = load(TARGET)
    found = []
    for precision in precisions:
        try:
            typed = typed_model(model, precision, shape=shape, calibration=calibration)
            found.append(build_candidate(trt, model, typed, Profile(shape, (1, 1, max_batch)), compute, progress))
        except ExportError as error:
            found.append(Candidate(TARGET, precision, reason=str(error)))
    return found


def build_candidate(
    trt: Any, model: bytes, typed: TypedModel, profile: Profile, compute: Sequence[str], progress: Progress | None
) -> Candidate:
    """Build one plan from a file that says every type. Raises ExportError."""

    def configure(builder: Any, network: Any, config: Any) -> None:
        del builder, network
        _set_compute(trt, config, compute)
        config.clear_flag(trt.BuilderFlag.TF32)  # float32 means float32

    plan = build_plan(trt, typed.data, profile, configure, strongly_typed=True, progress=progress)
    check_well_formed(trt, plan)
    return passported(
        Candidate(TARGET, typed.precision, reason=f"built for {', '.join(compute)}, not run"),
        model=model,
        plan=plan,
        typed=typed,
        profile=profile,
        trtexec=lambda onnx, file: tensorrt_rtx_line(onnx, file, profile, typed.input, compute),
        library_version=str(trt.__version__),
        compute_capabilities=tuple(f"{name[2:-1]}.{name[-1]}" for name in compute),
        flags=("strongly typed", "no TF32"),
    )


def check_compute(trt: Any, compute: Sequence[str]) -> None:
    """Raise ExportError for an architecture this library does not know."""
    known = {name for name in trt.ComputeCapability.__members__ if name.startswith("SM")}
    unknown = [name for name in compute if name not in known]
    if unknown or not compute:
        raise ExportError(
            f"--compute must name some of {', '.join(sorted(known))}, but got {', '.join(compute) or 'none'}"
        )


def _set_compute(trt: Any, config: Any, compute: Sequence[str]) -> None:
    check_compute(trt, compute)
    config.num_compute_capabilities = len(compute)
    for i, name in enumerate(compute):
        if not config.set_compute_capability(getattr(trt.ComputeCapability, name), i):
            raise ExportError(f"tensorrt_rtx {trt.__version__} does not build for {name}; leave it out")


def check_well_formed(trt: Any, plan: bytes) -> None:
    """What can be asked without a driver: is it an engine of this version at all?"""
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
