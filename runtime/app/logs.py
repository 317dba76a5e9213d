"""Logging for a process that runs for months: rotating files, and no camera password in them, tracebacks included."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path

from runtime.camera.base import redact
from runtime.errors import OptionError

MAX_BYTES = 5_000_000
KEPT = 3


class RedactingFormatter(logging.Formatter):
    """Removes user names and passwords from every formatted record."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def set_up(path: Path | None) -> logging.Handler:
    """Log everything from INFO on to a rotating file, or warnings to stderr.

    Args:
        path: The file; None for stderr.

    Returns:
        The new handler of the root logger, for the caller to remove.

    Raises:
        OptionError: The file cannot be written.
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
            raise OptionError(f"--log {path} must be writable, but: {error.strerror or error}.") from error
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    return handler
