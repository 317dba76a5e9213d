"""What is stored about each rung: its calibration table, its licence, and what was measured.

`python recipes/models` makes the tables from photographs and clips, so that `edgefs models pull` needs no pictures.
`python -m benchmarks.ladder` measures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefs.models.ladder import RUNGS, SMALL, SMALL_LICENCE

DATA = Path(__file__).parent / "data"
MEASURED = DATA / "measured.json"


def table_path(name: str) -> Path:
    """Return where the calibration table of a rung is stored."""
    return DATA / f"{name}.json"


def calibration_of(name: str) -> Mapping[str, Any]:
    """Read the calibration table of a rung, as the manifest of a bundle holds it."""
    table: Mapping[str, Any] = json.loads(table_path(name).read_text(encoding="utf-8"))
    return table


def cohort_path(name: str) -> Path:
    """Return where the cohort of a rung is stored."""
    return DATA / f"{name}-cohort.npy"


def cohort_of(name: str) -> NDArray[np.float32]:
    """Read the cohort of a rung, `float32 [B, D]`."""
    return np.asarray(np.load(cohort_path(name), allow_pickle=False), np.float32)


@cache
def measured() -> dict[str, Any]:
    """Read the stored figures: `host` (where they were measured) and `models` (name to figures)."""
    figures: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return figures


def title_of(name: str) -> str:
    """Return the network of a rung and the size of its input."""
    return "the embedded default" if name == SMALL else RUNGS[name].title


def licence_of(name: str) -> str:
    """Return the licence of a rung's weights and of their data, in one line."""
    return SMALL_LICENCE if name == SMALL else RUNGS[name].licence


def card_text(name: str) -> str:
    """Return the card of a rung as Markdown."""
    lines = [f"# {name}: {title_of(name)}", "", f"Licence: {licence_of(name)}.", ""]
    figures = measured()["models"].get(name)
    if not figures:
        return "\n".join([*lines, "This model has not been measured."]) + "\n"
    host = measured()["host"]
    lines += [
        f"Measured on {host['machine']}, {host['date'][:10]}, with `{host['command']}`.",
        "",
        "| | |",
        "|---|---|",
    ]
    lines += [f"| {what} | {value} |" for what, value in figures["summary"].items()]
    return "\n".join(lines) + "\n"
