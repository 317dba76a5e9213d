"""The options of an export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exporters.errors import ExportError, PicturesError
from exporters.sources.pictures import Pictures
from exporters.targets import TARGETS

PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class TensorRtOptions:
    """Options that only the target "tensorrt" has.

    Attributes:
        workspace_mib: Scratch memory that the builder may plan with, MiB.
        timing_cache: A file that makes the next build faster.
        compatibility: "none", "same_compute_capability", or "ampere_plus": a slower plan that runs on every GPU of
            compute capability 8.0 or more, but not on a Jetson.
        version_compatible: Whether newer libraries of the same major version may run the plan.
        dla_core: A DLA core of an Orin; layers it cannot run go to the GPU, and the batch size is fixed at `max_batch`.
    """

    workspace_mib: int = 1024
    timing_cache: Path | None = None
    compatibility: str = "none"
    version_compatible: bool = False
    dla_core: int | None = None


@dataclass(frozen=True)
class Request:
    """What is asked of an export.

    Attributes:
        targets: Names of TARGETS.
        precisions: Of "fp32", "fp16" and "int8".
        calibration: Pictures as the device will see them; required for "int8".
        base: Pictures of classes that no gallery will hold, for the base mean and the rejection table.
        allow: Whether artifacts are kept that fail a gate.
        keep: Precisions that are kept even if they are not faster than fp32 on this machine.
        exporter: "dynamo" or "legacy"; see `exporters.onnx.trace`.
        slim: Whether onnxslim removes redundant nodes from the ONNX file.
        max_batch: The largest batch of a TensorRT plan.
        compute: GPU architectures that "tensorrt-rtx" builds for: "SM86" is GeForce 30, "SM89" 40, "SM120" 50.
        threads: CPU threads of the engines while they are measured.
        tensorrt: Options of the target "tensorrt".
        progress: Called with the name of each phase of a TensorRT build.

    Raises:
        ExportError: A target or a precision is unknown, or none is asked for.
        PicturesError: "int8" is asked for without calibration pictures.
    """

    targets: Sequence[str] = ("onnx", "openvino")
    precisions: Sequence[str] = ("fp32",)
    calibration: Pictures | None = None
    base: Pictures | None = None
    allow: bool = False
    keep: Sequence[str] = ()
    exporter: str = "dynamo"
    slim: bool = False
    max_batch: int = 8
    compute: Sequence[str] = ("SM86", "SM89", "SM120")
    threads: int = 2
    tensorrt: TensorRtOptions = TensorRtOptions()
    progress: Callable[[str], object] = str

    def __post_init__(self) -> None:
        for asked, known in ((self.targets, tuple(TARGETS)), (self.precisions, PRECISIONS)):
            wrong = [name for name in asked if name not in known]
            if wrong or not asked:
                raise ExportError(
                    f"targets and precisions must be some of {', '.join(known)}, but got {wrong or 'none'}"
                )
        if wrong := [name for name in self.keep if name not in PRECISIONS]:
            raise ExportError(f"--keep must name some of {', '.join(PRECISIONS)}, but got {wrong}")
        if "int8" in self.precisions:
            _ = self.calibration_frames

    @property
    def calibration_frames(self) -> NDArray[np.uint8]:
        """The frames of `calibration`, `uint8 [N, H, W, C]`. Raises PicturesError if there are none."""
        if self.calibration is None:
            raise PicturesError(
                "int8 must be calibrated on pictures like the device's; name them: --calibrate FOLDER or VIDEO"
            )
        return self.calibration.frames
