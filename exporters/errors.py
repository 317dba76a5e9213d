"""Errors of the exporters, below the device's own base so that one `except EdgefsError` catches everything."""

from runtime.errors import EdgefsError


class ExportError(EdgefsError, RuntimeError):
    """The network cannot become a bundle as it is; the message says which part and what to change."""
