"""NVIDIA's two libraries with one API: `tensorrt` (Jetson, servers) and `tensorrt_rtx` (PCs with an RTX GPU)."""

from __future__ import annotations

from typing import Any

from runtime.engines.base import import_library
from runtime.engines.nvidia.cuda import Cuda

INSTALL = {
    "tensorrt": "On a Jetson JetPack has it (python3 -m venv --system-site-packages); else do: pip install tensorrt",
    "tensorrt-rtx": "Do: pip install 'edgefs[tensorrt-rtx]'",
}
_LOGGERS: dict[int, tuple[Any, Any]] = {}  # identity of a library's module -> (the module, its logger)


def load(target: str) -> Any:
    """Return the library that runs a target. Raises EngineMissing with the install line."""
    module = target.replace("-", "_")
    return import_library(module, module, INSTALL[target])


def usable_version(target: str) -> str:
    """Return the installed version. Raises EngineMissing if the library or a GPU for it is missing."""
    version = str(load(target).__version__)
    Cuda().close()
    return version


def quiet_logger(trt: Any) -> Any:
    """Return a logger that prints nothing; its method `said` returns the errors since this call.

    There is one for the process, because the library keeps using the first logger that it was given.
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
