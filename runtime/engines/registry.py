"""The list of engines. A new engine is one module that defines `ENGINE`, and one line in ENGINES."""

from __future__ import annotations

import importlib

from runtime.engines.base import EngineSpec
from runtime.errors import OptionError

# `engine="auto"` tries them in this order, which is that of the time they take to open.
ENGINES = {
    "onnxruntime": "runtime.engines.onnxruntime",
    "openvino": "runtime.engines.openvino",
    "tensorrt": "runtime.engines.tensorrt",
    "tensorrt-rtx": "runtime.engines.tensorrt_rtx",
    "onnxruntime-gpu": "runtime.engines.onnxruntime_gpu",
}


def engine_spec(name: str) -> EngineSpec:
    """Return what the module of an engine states about it. Raises OptionError for an unknown name."""
    if name not in ENGINES:
        raise OptionError(
            f"engine must be one of auto, {', '.join(ENGINES)}, or kserve://host:port/model, but got {name!r}"
        )
    spec: EngineSpec = importlib.import_module(ENGINES[name]).ENGINE
    return spec


def auto_engines() -> list[str]:
    """Return the names of the engines that `engine="auto"` may choose."""
    return [name for name in ENGINES if engine_spec(name).auto]


def device_engine(engine: str) -> str:
    """Return the name of the engine to open on a device that was asked for. Raises OptionError if it has no choice."""
    able = [name for name in ENGINES if engine_spec(name).devices]
    if engine not in ("auto", *able):
        raise OptionError(
            f"a device can be chosen for {', '.join(able)} only, but the engine is {engine!r}; leave out the device"
        )
    return able[0] if engine == "auto" else engine


def cpu_engine(target: str) -> EngineSpec | None:
    """Return the engine that checks an artifact of this target on any machine's CPU, or None if there is none."""
    specs = map(engine_spec, ENGINES)
    return next((spec for spec in specs if spec.cpu and spec.targets[0] == target), None)
