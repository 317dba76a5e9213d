"""What a target is: one module that builds one kind of artifact from the float32 ONNX file in several precisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from exporters.targets.request import PRECISIONS, Request


@dataclass(frozen=True)
class Candidate:
    """One artifact that was built but not verified yet, or the reason why it could not be built.

    Attributes:
        target: A name of TARGETS.
        precision: "fp32", "fp16" or "int8".
        file: Path in the bundle of the file that an engine opens; "" if nothing was built.
        files: Every file of the artifact: path in the bundle to content.
        reason: Why it was not built, or what should be known about it.
    """

    target: str
    precision: str
    file: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Target:
    """What the module of a target defines as `TARGET`.

    Attributes:
        build: `build(model, precision, request)` builds one artifact from the float32 ONNX file `model`. It raises
            ExportError or EngineError for a precision that cannot be built.
        check: `check(request)` raises ToolMissing, EngineMissing or ExportError, before anything is built, when a
            library is not installed (with its install line) or an option is wrong.
        build_again: An optional second attempt, called like `build` when an artifact fails its verification.
        precisions: The precisions it can build, the most exact first.
    """

    build: Callable[[bytes, str, Request], Candidate]
    check: Callable[[Request], object]
    build_again: Callable[[bytes, str, Request], Candidate | None] | None = None
    precisions: tuple[str, ...] = PRECISIONS
