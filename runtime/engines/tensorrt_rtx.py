"""TensorRT for RTX on a PC's GPU: plans built ahead of time, on any machine; kernels are compiled at first use."""

from __future__ import annotations

from runtime.engines.plan import PlanEngine as TensorRtRtxEngine
from runtime.engines.tensorrt_library import usable_version

__all__ = ["TARGETS", "TensorRtRtxEngine", "version"]
TARGETS = ("tensorrt-rtx",)


def version() -> str:
    """The installed version. Raises EngineMissing with the install line, or without a GPU."""
    return usable_version("tensorrt-rtx")
