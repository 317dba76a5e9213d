"""TensorRT for RTX on the GPU of a PC. It runs plans built on any machine and compiles their kernels at first use."""

from functools import partial

from runtime.engines.base import EngineSpec
from runtime.engines.nvidia.library import INSTALL, usable_version
from runtime.engines.nvidia.plan import PlanEngine

TARGET = "tensorrt-rtx"
ENGINE = EngineSpec("TensorRT for RTX", (TARGET,), PlanEngine, partial(usable_version, TARGET), INSTALL[TARGET])
