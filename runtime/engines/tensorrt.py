"""TensorRT on an NVIDIA GPU: plans built on this very machine, by `edgefs export --targets tensorrt`."""

from __future__ import annotations

from runtime.engines.plan import PlanEngine as TensorRtEngine
from runtime.engines.tensorrt_library import usable_version

__all__ = ["TARGETS", "TensorRtEngine", "version"]
TARGETS = ("tensorrt",)


def version() -> str:
    """The installed version. Raises EngineMissing with the install line, or without a GPU."""
    return usable_version("tensorrt")
