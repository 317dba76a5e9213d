"""TensorRT 10.3 … 11.x: plans for this machine's GPU, built on this machine.

How a precision is asked for depends on the version. Before 10.12 by builder flags over a float32 network, with the head
and the metric's tail held in float32 by constraints; from 10.12 by a strongly typed network whose ONNX says every type;
on 11 nothing else is left. int8 comes from explicit quantisers on both routes.

The DLA of an Orin takes the flags as long as they exist, one fixed batch, and float16 or int8 only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from exporters.errors import ExportError
from exporters.onnx.float16 import float32_nodes
from exporters.targets.plan import Profile, Progress, build_plan
from exporters.targets.plan_sidecar import passported
from exporters.targets.target import Candidate
from exporters.targets.trtexec import trtexec_line
from exporters.targets.typed_model import TypedModel, typed_model
from runtime.engines.cuda import Cuda
from runtime.engines.passport import COMPATIBILITY, Machine
from runtime.engines.tensorrt_library import load

TARGET = "tensorrt"
STRONGLY_TYPED_FROM = (10, 12)
FLAGS_GONE_FROM = (11,)
_ARITHMETIC = ("ELEMENTWISE", "UNARY", "REDUCE")


@dataclass(frozen=True)
class Options:
    """workspace_mib: scratch memory the builder may plan with.  timing_cache: a file that makes the next build quicker.

    compatibility: of COMPATIBILITY; "ampere_plus" runs on every GPU from 8.0, slower; not on a Jetson.
    version_compatible: newer libraries of the same major version may run the plan; it then brings its own runtime.
    dla_core: of an Orin, with layers it cannot run on the GPU; the batch is then fixed at max_batch.
    """

    workspace_mib: int = 1024
    timing_cache: Path | None = None
    compatibility: str = "none"
    version_compatible: bool = False
    dla_core: int | None = None


def candidates(
    model: bytes,
    *,
    precisions: Sequence[str],
    shape: tuple[int, int, int],
    calibration: NDArray[np.uint8] | None = None,
    max_batch: int = 8,
    options: Options | None = None,
    progress: Progress | None = None,
) -> list[Candidate]:
    """Build one plan per precision, with its passport and the ONNX file it came from where that is not model.onnx.

    model: the float32 ONNX file.  shape: (H, W, C).  calibration: `uint8 [N, H, W, C]`, for int8.
    Raises EngineMissing without the library or a GPU; what cannot be built is a candidate with a reason and no files.
    """
    options = options or Options()
    smallest = 1 if options.dla_core is None else max_batch
    profile = Profile(shape, (smallest, smallest, max_batch))
    trt = load(TARGET)
    cuda = Cuda()
    try:
        here = Machine.this(str(trt.__version__), cuda)
    finally:
        cuda.close()
    found = []
    for precision in precisions:
        try:
            found.append(_candidate(trt, model, precision, calibration, profile, options, here, progress))
        except (ExportError, OSError) as error:  # OSError: the timing cache
            found.append(Candidate(TARGET, precision, reason=str(error)))
    return found


def uses_flags(version: str, options: Options) -> bool:
    """Whether this version is asked for a precision by builder flags rather than by a strongly typed network."""
    numbers = _numbers(version)
    return numbers < STRONGLY_TYPED_FROM or (options.dla_core is not None and numbers < FLAGS_GONE_FROM)


def _candidate(
    trt: Any,
    model: bytes,
    precision: str,
    calibration: NDArray[np.uint8] | None,
    profile: Profile,
    options: Options,
    here: Machine,
    progress: Progress | None,
) -> Candidate:
    flagged = uses_flags(here.library_version, options)
    _check(trt, precision, options)
    typed = typed_model(model, precision, shape=profile.shape, calibration=calibration, for_flags=flagged)
    flags: list[str] = []  # as trtexec calls them
    configs: list[Any] = []

    def configure(builder: Any, network: Any, config: Any) -> None:
        configs.append(config)
        flags.extend(_common(trt, config, options))
        if flagged and precision != "fp32":
            flags.extend(_by_flags(trt, network, config, precision, typed))
        elif not flagged and _numbers(here.library_version) < FLAGS_GONE_FROM:
            flags.append("--stronglyTyped")
        if options.dla_core is not None:
            flags.extend(_on_dla(trt, builder, config, options.dla_core))

    plan = build_plan(trt, typed.data, profile, configure, strongly_typed=not flagged, progress=progress)
    if options.timing_cache is not None:
        _write_timing_cache(configs[0], options.timing_cache)
    return passported(
        Candidate(TARGET, precision, reason=f"built by TensorRT {here.library_version} on this machine"),
        model=model,
        plan=plan,
        typed=typed,
        profile=profile,
        trtexec=lambda onnx, file: trtexec_line(here.library_version, onnx, file, profile, typed.input, flags),
        library_version=here.library_version,
        compute_capabilities=(here.compute_capability,),
        compatibility=options.compatibility,
        version_compatible=options.version_compatible,
        dla_core=options.dla_core,
        os=here.os,
        arch=here.arch,
        driver=here.driver,
        jetpack=here.jetpack,
        flags=tuple(flags),
    )


def _check(trt: Any, precision: str, options: Options) -> None:
    if options.dla_core is not None and precision == "fp32":
        raise ExportError("the DLA computes float16 or int8, but fp32 was asked for; leave out the DLA or fp32")
    levels = trt.HardwareCompatibilityLevel.__members__
    if options.compatibility not in COMPATIBILITY or options.compatibility.upper() not in levels:
        known = ", ".join(name for name in COMPATIBILITY if name.upper() in levels)
        raise ExportError(
            f"compatibility must be one of {known} for TensorRT {trt.__version__}, but is {options.compatibility!r}"
        )


def _common(trt: Any, config: Any, options: Options) -> list[str]:
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib << 20)
    config.clear_flag(trt.BuilderFlag.TF32)  # float32 means float32
    config.hardware_compatibility_level = getattr(trt.HardwareCompatibilityLevel, options.compatibility.upper())
    flags = [f"--memPoolSize=workspace:{options.workspace_mib}M", "--noTF32"]
    if options.compatibility != "none":
        names = {"ampere_plus": "ampere+", "same_compute_capability": "sameComputeCapability"}
        flags.append(f"--hardwareCompatibilityLevel={names[options.compatibility]}")
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
        flags.append("--versionCompatible")
    if options.timing_cache is not None:
        _read_timing_cache(config, options.timing_cache)
        flags.append(f"--timingCacheFile={options.timing_cache}")
    return flags


def _by_flags(trt: Any, network: Any, config: Any, precision: str, typed: TypedModel) -> list[str]:
    """Allow float16 (and int8), and hold the head's and the tail's arithmetic in float32."""
    names = ("FP16", "INT8") if precision == "int8" else ("FP16",)
    for name in (*names, "OBEY_PRECISION_CONSTRAINTS"):
        config.set_flag(getattr(trt.BuilderFlag, name))
    held = []
    keep = {f"[ONNX Layer: {name}]" for name in float32_nodes(onnx.load_from_string(typed.data).graph)}
    kinds = [getattr(trt.LayerType, kind) for kind in _ARITHMETIC]
    for layer in (network.get_layer(i) for i in range(network.num_layers)):
        if layer.metadata in keep and layer.type in kinds:
            layer.precision = trt.DataType.FLOAT
            layer.set_output_type(0, trt.DataType.FLOAT)
            held.append(layer.name)
    flags = [f"--{name.lower()}" for name in names]
    specs = ",".join(f"{name}:fp32" for name in held)
    return (
        [*flags, "--precisionConstraints=obey", f"--layerPrecisions={specs}", f"--layerOutputTypes={specs}"]
        if held
        else flags
    )


def _on_dla(trt: Any, builder: Any, config: Any, core: int) -> list[str]:
    if not 0 <= core < builder.num_DLA_cores:
        raise ExportError(f"dla_core must be one of this machine's {builder.num_DLA_cores} DLA cores, but is {core}")
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = core
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    return [f"--useDLACore={core}", "--allowGPUFallback"]


def _read_timing_cache(config: Any, path: Path) -> None:
    """A cache of another GPU or version is left aside, and overwritten after the build."""
    known = path.read_bytes() if path.exists() else b""
    if not config.set_timing_cache(config.create_timing_cache(known), ignore_mismatch=False):
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)


def _write_timing_cache(config: Any, path: Path) -> None:
    aside = path.with_suffix(path.suffix + ".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside.write_bytes(bytes(config.get_timing_cache().serialize()))
    aside.replace(path)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))
