"""What a command writes: text for any terminal, and its result as strict JSON."""

from __future__ import annotations

import codecs
import csv
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

ASCII = {
    **{"≤": "<=", "≥": ">=", "×": "x", "±": "+-", "…": "...", "–": "-", "—": "-", "→": "->", "·": "-", "°": " deg "},
    **{"\N{NO-BREAK SPACE}": " ", "²": "^2", "“": '"', "”": '"', "’": "'"},
}


def _ascii_form(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(ASCII.get(char, "?") for char in error.object[error.start : error.end]), error.end


codecs.register_error("edgefs-ascii", _ascii_form)


def allow_ascii(*streams: TextIO) -> None:
    """Let a terminal that knows only ASCII show a similar text; without this, printing "≤" would raise an error."""
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="edgefs-ascii")


def unwritable(option: str, path: str | Path | None) -> str | None:
    """Why a file cannot be written, as a sentence; None if it can be, or if there is no path. Nothing is created."""
    if path is None:
        return None
    try:
        target = Path(path)
        if "\0" in str(path):
            why = "the name contains a null byte"
        elif target.is_dir():
            why = "it is a folder"
        elif not target.parent.is_dir():
            why = f"there is no folder {target.parent}"
        elif os.access(target if target.exists() else target.parent, os.W_OK):
            return None
        else:
            why = "permission denied"
    except OSError as error:  # a name that is too long
        why = error.strerror or str(error)
    return f"{option} {path} cannot be written: {why}; choose another place"


def write_json(report: dict[str, Any], target: str | None) -> int:
    """Write the result of a command to a file, or to stdout for "-"; return the exit status."""
    if target is None:
        return 0
    text = json.dumps(plain(report), indent=1, allow_nan=False) + "\n"
    try:
        if target == "-":
            print(text, end="", flush=True)
        else:
            Path(target).write_text(text)
    except BrokenPipeError:
        return reader_gone()
    except OSError as error:
        print(f"edgefs: --json {target} cannot be written: {error.strerror}; choose another place", file=sys.stderr)
        return 1
    return 0


def reader_gone() -> int:
    """End quietly after `edgefs … | head`: Python would complain again when it flushes stdout at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def plain(value: Any) -> Any:
    """Make a value strict JSON: dataclasses become objects, arrays lists, NaN and infinities null, paths strings."""
    if hasattr(value, "tolist"):  # numpy arrays and scalars
        value = value.tolist()
    if hasattr(value, "__dataclass_fields__"):
        shown = [name for name, field in value.__dataclass_fields__.items() if field.repr]
        return {name: plain(getattr(value, name)) for name in shown}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def write_csv(path: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of the same columns as a CSV file with a header."""
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
