"""What is asked of an export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporters.errors import ExportError, PicturesError
from exporters.sources.pictures import Pictures
from exporters.targets.target import PRECISIONS, TARGETS


@dataclass(frozen=True)
class Request:
    """Raises ExportError or PicturesError for what makes no sense.

    calibration: for int8.  base: classes that no gallery will hold, for the base mean and the rejection table.
    allow: keep what failed a gate or does not pay.  exporter, slim: see `exporters.onnx.trace`.
    max_batch: of TensorRT's profiles.  compute: architectures that TensorRT for RTX builds for.
    threads: of the engines while they are measured.
    """

    targets: Sequence[str] = ("onnx", "openvino")
    precisions: Sequence[str] = ("fp32",)
    calibration: Pictures | None = None
    base: Pictures | None = None
    allow: bool = False
    exporter: str = "dynamo"
    slim: bool = False
    max_batch: int = 8
    compute: Sequence[str] = ("SM86", "SM120")
    threads: int = 2

    def __post_init__(self) -> None:
        for asked, known in ((self.targets, TARGETS), (self.precisions, PRECISIONS)):
            wrong = [name for name in asked if name not in known]
            if wrong or not asked:
                raise ExportError(
                    f"targets and precisions must be some of {', '.join(known)}, but got {wrong or 'none'}"
                )
        if "int8" in self.precisions and self.calibration is None:
            raise PicturesError(
                "int8 must be calibrated on pictures like the device's; name them: --calibrate FOLDER or VIDEO"
            )

    @property
    def calibration_frames(self) -> NDArray[np.uint8] | None:
        """`uint8 [N, H, W, C]`."""
        return None if self.calibration is None else self.calibration.frames
