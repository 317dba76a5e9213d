"""The targets that artifacts can be built for. A new target is one module that defines `TARGET`, and one line here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporters.targets.target import Target

# Artifacts are built in this order. A module is imported only when its target is asked for.
TARGETS = {
    "onnx": "exporters.targets.onnx_cpu",
    "openvino": "exporters.targets.openvino",
    "tensorrt": "exporters.targets.tensorrt",
    "tensorrt-rtx": "exporters.targets.tensorrt_rtx",
}


def target_of(name: str) -> Target:
    """Return what the module of a target defines. The name must be one of TARGETS."""
    target: Target = importlib.import_module(TARGETS[name]).TARGET
    return target
