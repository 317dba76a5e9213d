"""TensorRT on an NVIDIA GPU. It runs plans that `edgefs export --targets tensorrt` built on the same machine."""

from functools import partial

from runtime.engines.base import EngineSpec
from runtime.engines.nvidia.library import INSTALL, usable_version
from runtime.engines.nvidia.plan import PlanEngine

ENGINE = EngineSpec("TensorRT", ("tensorrt",), PlanEngine, partial(usable_version, "tensorrt"), INSTALL["tensorrt"])
