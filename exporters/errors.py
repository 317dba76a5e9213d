"""Errors of the exporters. All derive from the device's own base, so that one `except EdgefsError` catches everything.

ExportError (RuntimeError)            the network cannot become a bundle as it is
├── SourceError (ValueError)          weights, a checkpoint or an ONNX file that cannot be used as an embedder
├── PicturesError (ValueError)        too few pictures, or none, to calibrate or verify with
├── GateFailed (ArithmeticError)      the float32 model.onnx does not answer as the network does
└── ToolMissing (ImportError)         a library is not installed; the message has the install line
"""

from runtime.errors import EdgefsError


class ExportError(EdgefsError, RuntimeError):
    """The network cannot become a bundle as it is; the message says which part and what to change."""


class SourceError(ExportError, ValueError): ...


class PicturesError(ExportError, ValueError): ...


class GateFailed(ExportError, ArithmeticError): ...


class ToolMissing(ExportError, ImportError): ...
