"""Logs that may run for months: rotating, and without the password of any camera, tracebacks included."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path

from runtime.camera.base import redact
from runtime.errors import OptionError

MAX_BYTES = 5_000_000
KEPT = 3


class Redacting(logging.Formatter):
    """Formats, then takes out what no log may hold."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def set_up(path: Path | None) -> logging.Handler:
    """Send warnings to stderr, or everything from INFO on to a rotating file; returns the handler, to be removed.

    Raises OptionError if the file cannot be written.
    """
    handler: logging.Handler
    if path is None:
        handler = logging.StreamHandler(sys.stderr)
        handler.setLevel(logging.WARNING)
    else:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handler = logging.handlers.RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=KEPT, encoding="utf-8")
        except OSError as error:
            raise OptionError(f"--log {path} must be writable, but: {error.strerror or error}") from error
    handler.setFormatter(Redacting("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    return handler
