"""The target "tensorrt": TensorRT 10.3 to 11.x plans for this machine's GPU, built on this machine.

How a precision is requested depends on the version. Before 10.12 builder flags lower a float32 network, and constraints
hold the head and the metric's last step in float32. From 10.12 on the network is strongly typed: its ONNX file states
every type. TensorRT 11 has only this way. Both ways take int8 from explicit quantisers.

The DLA of an Orin takes builder flags as long as they exist, one fixed batch size, and only float16 or int8.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import onnx

from exporters.errors import ExportError
from exporters.onnx.float16 import float32_nodes
from exporters.targets.plan import Profile, build_plan, plan_candidate
from exporters.targets.request import Request, TensorRtOptions
from exporters.targets.target import Candidate, Target
from exporters.targets.trtexec import trtexec_line
from exporters.targets.typed_model import TypedModel, typed_model
from runtime.engines.nvidia.cuda import Cuda
from runtime.engines.nvidia.library import load
from runtime.engines.nvidia.passport import COMPATIBILITY, Machine

NAME = "tensorrt"
STRONGLY_TYPED_FROM = (10, 12)
FLAGS_GONE_FROM = (11,)
_ARITHMETIC = ("ELEMENTWISE", "UNARY", "REDUCE")


def build(model: bytes, precision: str, request: Request) -> Candidate:
    """Build one plan, with its passport and the ONNX file it came from where that is not model.onnx.

    Raises:
        EngineMissing: The library, a GPU or its driver is missing.
        ExportError: The library refuses the network or an option.
    """
    trt, options = load(NAME), request.tensorrt
    machine = _this_machine(trt)
    version = machine.library_version
    flagged = uses_flags(version, options)
    frames = request.calibration.frames if request.calibration else None
    _check_options(trt, precision, options)
    typed = typed_model(model, precision, frames, for_flags=flagged, for_dla=options.dla_core is not None)
    smallest = 1 if options.dla_core is None else request.max_batch
    profile = Profile(typed.shape, (smallest, smallest, request.max_batch))
    flags: list[str] = []  # the same options as trtexec calls them
    configs: list[Any] = []

    def configure(builder: Any, network: Any, config: Any) -> None:
        configs.append(config)
        flags.extend(_set_common(trt, config, options))
        if flagged and precision != "fp32":
            flags.extend(_set_precision_by_flags(trt, network, config, precision, typed))
        elif not flagged and _numbers(version) < FLAGS_GONE_FROM:
            flags.append("--stronglyTyped")
        if options.dla_core is not None:
            flags.extend(_use_dla(trt, builder, config, options.dla_core))

    try:
        plan = build_plan(trt, typed.data, profile, configure, strongly_typed=not flagged, progress=request.progress)
        if options.timing_cache is not None:
            _write_timing_cache(configs[0], options.timing_cache)
    except OSError as error:
        raise ExportError(f"the timing cache must be a writable file, but: {error}; choose another file") from error
    return plan_candidate(
        NAME,
        plan,
        model=model,
        typed=typed,
        profile=profile,
        trtexec=lambda onnx, file: trtexec_line(version, onnx, file, profile, typed.input, flags),
        reason=f"built by TensorRT {version} on this machine{_dla_remark(precision, options)}",
        library_version=version,
        compute_capabilities=(machine.compute_capability,),
        compatibility=options.compatibility,
        version_compatible=options.version_compatible,
        dla_core=options.dla_core,
        os=machine.os,
        arch=machine.arch,
        driver=machine.driver,
        jetpack=machine.jetpack,
        flags=tuple(flags),
    )


def uses_flags(version: str, options: TensorRtOptions) -> bool:
    """Return whether this version takes the precision from builder flags rather than from a strongly typed network."""
    numbers = _numbers(version)
    return numbers < STRONGLY_TYPED_FROM or (options.dla_core is not None and numbers < FLAGS_GONE_FROM)


def _this_machine(trt: Any) -> Machine:
    cuda = Cuda()
    try:
        return Machine.this(str(trt.__version__), cuda)
    finally:
        cuda.close()


def _check_options(trt: Any, precision: str, options: TensorRtOptions) -> None:
    if options.dla_core is not None and precision == "fp32":
        raise ExportError("the DLA computes float16 or int8, but fp32 was asked for; leave out the DLA or fp32")
    levels = trt.HardwareCompatibilityLevel.__members__
    if options.compatibility not in COMPATIBILITY or options.compatibility.upper() not in levels:
        known = ", ".join(name for name in COMPATIBILITY if name.upper() in levels)
        raise ExportError(
            f"compatibility must be one of {known} for TensorRT {trt.__version__}, but is {options.compatibility!r}"
        )


def _set_common(trt: Any, config: Any, options: TensorRtOptions) -> list[str]:
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib << 20)
    config.clear_flag(trt.BuilderFlag.TF32)  # float32 is computed as float32
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


def _set_precision_by_flags(trt: Any, network: Any, config: Any, precision: str, typed: TypedModel) -> list[str]:
    """Allow float16 (and int8); hold in float32 the arithmetic of head and tail, and what float16 cannot hold."""
    names = ("FP16", "INT8") if precision == "int8" else ("FP16",)
    for name in (*names, "OBEY_PRECISION_CONSTRAINTS"):
        config.set_flag(getattr(trt.BuilderFlag, name))
    held = []
    keep = {f"[ONNX Layer: {name}]" for name in float32_nodes(onnx.load_from_string(typed.data).graph)}
    large = {f"[ONNX Layer: {name}]" for name in typed.too_large}
    kinds = [getattr(trt.LayerType, kind) for kind in _ARITHMETIC]
    for layer in (network.get_layer(i) for i in range(network.num_layers)):
        if (layer.metadata in keep and layer.type in kinds) or layer.metadata in large:
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


def _dla_remark(precision: str, options: TensorRtOptions) -> str:
    if options.dla_core is None or precision != "int8":
        return ""
    return ", with quantisers at the outputs of products too, without which the DLA does not compute int8"


def _use_dla(trt: Any, builder: Any, config: Any, core: int) -> list[str]:
    if not 0 <= core < builder.num_DLA_cores:
        raise ExportError(f"dla_core must be one of this machine's {builder.num_DLA_cores} DLA cores, but is {core}")
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = core
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    return [f"--useDLACore={core}", "--allowGPUFallback"]


def _read_timing_cache(config: Any, path: Path) -> None:
    """Use the cache, unless it is of another GPU or version; then an empty one is used, which replaces it later."""
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


TARGET = Target(build, check=lambda _: load(NAME))
