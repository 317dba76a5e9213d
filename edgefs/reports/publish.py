"""A result of `edgefs bench` for others: machine, versions, what was asked for, and the figures, in one file.

It holds no single calls, no path, no name of a host or user, and nothing that was compared with a file of this machine.
`python -m benchmarks.results_page` shows every such file of benchmarks/published/ in docs/results.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SCHEMA = "edgefs-bench-published-1"
SAMPLES = ("samples_ms", "blocks")


def without_samples(report: Mapping[str, Any]) -> dict[str, Any]:
    """A report that is small enough to be kept: without single calls and the machine, which is stored apart."""
    rows = [{name: value for name, value in row.items() if name not in SAMPLES} for row in report["results"]]
    return {**{name: value for name, value in report.items() if name != "machine"}, "results": rows}


def as_published(report: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """A report as the text of a file that is published.

    Args:
        report: The result of `bench`.
        options: What was asked of it, so that others can repeat it.
    """
    kept = {name: value for name, value in without_samples(report).items() if name not in ("schema", "changes")}
    # The reason why an engine does not open may name a folder of this machine.
    kept["skipped"] = [{name: each[name] for name in ("engine", "precision")} for each in report["skipped"]]
    found = {"schema": SCHEMA, "host": report["machine"], "options": options, **kept}
    return json.dumps(found, indent=1, allow_nan=False) + "\n"
