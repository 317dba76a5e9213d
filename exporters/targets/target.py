"""What every target's exporter hands back: files for a bundle that still have to earn their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

TARGETS = ("onnx", "openvino", "tensorrt", "tensorrt-rtx")
PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class Candidate:
    """One artefact that was built, or the reason why it could not be.

    target, precision: of TARGETS and PRECISIONS.
    file: the one an engine opens, as a path in the bundle; "" when nothing was built.
    files: every file of it, path in the bundle -> bytes.  reason: why it was not built, or what should be known of it.
    """

    target: str
    precision: str
    file: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    reason: str = ""
