"""Cells of CSV files that people open in a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterable


def plain_cells(values: Iterable[object]) -> list[object]:
    """Return the values with an apostrophe before text that a spreadsheet would run as a formula; None is empty."""
    return [
        f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
        for value in ("" if value is None else value for value in values)
    ]
