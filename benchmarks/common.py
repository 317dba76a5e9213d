"""What every benchmark shares: facts about the machine, and result files. Timing is in `edgefs.bench`.

A result file is `benchmarks/results/<theme>_<machine>_<date>.json`: host, versions, command and figures, nothing else.
`python -m benchmarks.results_page` writes all of them as docs/results.md and the tables of the README.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from edgefs.bench import machine

RESULTS = Path(__file__).parent / "results"


def host() -> dict[str, Any]:
    """The machine, the versions and the moment."""
    return {
        **machine.facts(),
        "commit": _commit(),
        "load_average": os.getloadavg()[0],
        "command": " ".join(["python", "-m", f"benchmarks.{_module(sys.argv[0])}", *map(_public, sys.argv[1:])]),
    }


def result_path(theme: str) -> Path:
    """Where today's result of a theme is kept."""
    name = "-".join(machine.cpu_model().lower().split()[:3])
    return RESULTS / f"{theme}_{name}-{os.cpu_count()}cpu_{machine.facts()['date'][:10]}.json"


def save(theme: str, figures: dict[str, Any]) -> Path:
    """Write a result file, delete older ones of the same theme and machine, and return its path."""
    path = result_path(theme)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"host": host(), **figures}, indent=1) + "\n")
    for older in set(path.parent.glob(f"{path.stem[:-10]}????-??-??.*")):
        if older.stem != path.stem:
            older.unlink()
    return path


def _module(script: str) -> str:
    path = Path(script)
    return path.parent.name if path.stem == "__main__" else path.stem


def _public(argument: str) -> str:
    """An argument without the folders of this machine."""
    return Path(argument).name if argument.startswith("/") else argument


def _commit() -> str:
    result = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=RESULTS.parent)
    return result.stdout.strip() or "unknown"
