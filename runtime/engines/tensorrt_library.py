"""NVIDIA's two libraries of one API: `tensorrt` (Jetson, servers) and `tensorrt_rtx` (RTX PCs)."""

from __future__ import annotations

import importlib
from typing import Any

from runtime.engines.cuda import Cuda
from runtime.errors import EngineMissing

MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
_HINTS = {
    "tensorrt": "On a Jetson JetPack has it (python3 -m venv --system-site-packages); else do: pip install tensorrt",
    "tensorrt-rtx": "Do: pip install 'edgefs[tensorrt-rtx]'",
}
_LOGGERS: dict[int, tuple[Any, Any]] = {}  # by the identity of the module, which is kept with it


def load(target: str) -> Any:
    """The module of a target. Raises EngineMissing with the install line."""
    try:
        return importlib.import_module(MODULES[target])
    except ImportError as error:
        raise EngineMissing(f"{MODULES[target]} is not installed ({error}). {_HINTS[target]}") from error


def usable_version(target: str) -> str:
    """The installed version. Raises EngineMissing when the library or a GPU for it is missing."""
    version = str(load(target).__version__)
    Cuda().close()
    return version


def quiet_logger(trt: Any) -> Any:
    """The logger that prints nothing; `.said()` gives the errors since this call, for our own messages.

    One for the process: the library goes on using the first it was given, even after everything else of it is gone.
    """
    if id(trt) not in _LOGGERS:
        _LOGGERS[id(trt)] = trt, _new_logger(trt)
    logger = _LOGGERS[id(trt)][1]
    logger.errors.clear()
    return logger


def _new_logger(trt: Any) -> Any:
    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.errors.append(msg)

        def said(self) -> str:
            return "; ".join(self.errors[-3:]) or "it gives no reason"

    return Logger()
