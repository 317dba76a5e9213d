"""Silence libraries that print while they work, so that their progress bars and warnings do not hide our own output."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """Drop what is printed, warned or logged below ERROR by these loggers ("": the root). Errors are still raised."""
    levels = {name: logging.getLogger(name).level for name in loggers}
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in loggers:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
