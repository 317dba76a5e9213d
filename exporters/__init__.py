"""Turn an embedder into a device bundle: build every artifact, verify it against the source, keep what passes.

The names below are the public interface of this package. Each is imported when it is first used, so that importing
`exporters` imports neither torch nor onnx. See docs/export.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporters.errors import ExportError, GateFailed, PicturesError, SourceError, ToolMissing
    from exporters.onnx.graph import EmbedderGraph
    from exporters.pipeline import Exported, export
    from exporters.serving import write_ovms, write_triton
    from exporters.sources.onnx_source import open_onnx
    from exporters.sources.pictures import Pictures, sample_pictures, verification_pictures
    from exporters.sources.torch_source import TorchSource
    from exporters.sources.torchvision_source import torchvision_source
    from exporters.targets.request import Request, TensorRtOptions

__all__ = [
    "EmbedderGraph",
    "ExportError",
    "Exported",
    "GateFailed",
    "Pictures",
    "PicturesError",
    "Request",
    "SourceError",
    "TensorRtOptions",
    "ToolMissing",
    "TorchSource",
    "export",
    "open_onnx",
    "sample_pictures",
    "torchvision_source",
    "verification_pictures",
    "write_ovms",
    "write_triton",
]

_HOMES = {
    "EmbedderGraph": "exporters.onnx.graph",
    "ExportError": "exporters.errors",
    "Exported": "exporters.pipeline",
    "GateFailed": "exporters.errors",
    "Pictures": "exporters.sources.pictures",
    "PicturesError": "exporters.errors",
    "Request": "exporters.targets.request",
    "SourceError": "exporters.errors",
    "TensorRtOptions": "exporters.targets.request",
    "ToolMissing": "exporters.errors",
    "TorchSource": "exporters.sources.torch_source",
    "export": "exporters.pipeline",
    "open_onnx": "exporters.sources.onnx_source",
    "sample_pictures": "exporters.sources.pictures",
    "torchvision_source": "exporters.sources.torchvision_source",
    "verification_pictures": "exporters.sources.pictures",
    "write_ovms": "exporters.serving",
    "write_triton": "exporters.serving",
}

if not TYPE_CHECKING:  # else type checkers would accept any misspelt name

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'exporters' has no attribute {name!r}")
        return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
