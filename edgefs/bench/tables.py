"""The tables of a report, for the terminal and for the page, and the report as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from edgefs.reports.tables import table

Report = Mapping[str, Any]
WHAT = ("engine", "version", "precision", "artifact", "arithmetic", "threads", "golden_cosine")
TAIL = ("p90_ms", "p95_ms", "p99_ms", "max_ms", "samples")
ALL_CALLS = ("engine_p50_ms", "recognize_p50_ms", "recognize_over_engine", *TAIL)
UNCONTENDED = tuple(f"uncontended_{name}" for name in ("engine_p50_ms", "p50_ms", "recognize_over_engine", *TAIL))
RATE = ("threads", "batch", "frames_per_s", "cpu_ms_per_frame")
CAMERA = ("cameras", "fps", "recognised", "dropped", "frames_per_s", "cpus_used")
OPENING = (
    *("import_ms", "load_ms", "compile_ms", "first_call_ms", "until_first_answer_ms"),
    *("resident_mb", "peak_memory_mb"),
)
CHANGE = ("result", "ratio", "low", "high", "allowance")


class Table(NamedTuple):
    """A table with its title and a note on how to read it."""

    title: str
    header: Sequence[str]
    rows: list[list[object]]
    note: str = ""


def tables(report: Report) -> Iterator[Table]:
    """Every table that the report has figures for."""
    results = report["results"]
    if changes := report.get("changes"):
        yield _changes(changes)
    rows = [
        [name, *cells(row, keys)]
        for row in results
        for name, keys in ((name_of(row), ALL_CALLS), ("  uncontended", UNCONTENDED))
    ]
    note = (
        "Milliseconds. Uncontended: calls in which no thread of this process waited for a CPU. A dash: too few samples "
        "for this percentile (99 % confidence needs 64, 130 and 662 samples for p90, p95 and p99)."
    )
    yield Table("One frame after the other", _header("", ALL_CALLS), rows, note)
    stages = tuple(results[0]["stages_ms"])
    rows = [[name_of(row), *cells(row["stages_ms"], stages), row["cpu_ms_per_frame"]] for row in results]
    note = "Medians in milliseconds. The camera decodes the JPEG. The copy into the engine is part of infer."
    yield Table("Where the time goes", ("", *stages, "CPU ms a frame"), rows, note)
    several = [row for row in results if "multi_stream" in row]
    keys = ("p50_ms", "p90_ms", "p99_ms", "uncontended_p50_ms")
    rows = [[name_of(row), *cells(row["multi_stream"], keys)] for row in several]
    yield Table("Multi-stream: one query of eight frames", _header("", keys), rows)
    rows = [[name_of(row), *cells(rate, RATE)] for row in results for rate in row.get("offline", ())]
    yield Table("Offline: threads and batch", _header("", RATE), rows)
    yield cameras([(name_of(row), row["camera"]) for row in results if "camera" in row])
    rows = [
        [f"{name_of(row)}, {when}", *cells(row["opening"][when], OPENING)]
        for row in results
        if "opening" in row
        for when in ("cold", "cached")
    ]
    note = "Each in a new process. Cached: with the model compiled before, where the engine keeps it."
    yield Table("Until the first answer", _header("", OPENING), rows, note)
    yield growing(report.get("growth", ()))


def cameras(runs: Sequence[tuple[str, Report]]) -> Table:
    """Runs of the camera scenario, each with a name."""
    arrival = ("p50_ms", "p90_ms", "p99_ms")
    rows = [[name, *cells(run, CAMERA), *cells(run["capture_to_answer"], arrival)] for name, run in runs]
    header = [*_header("", CAMERA), *(f"to answer {name.replace('_', ' ')}" for name in arrival)]
    return Table("Several cameras", header, rows)


def growing(rows: Sequence[Report]) -> Table:
    """What a growing gallery costs."""
    keys = tuple(rows[0]) if rows else ()
    return Table("A growing gallery", [name.replace("_", " ") for name in keys], [cells(row, keys) for row in rows])


def _changes(changes: Sequence[Report]) -> Table:
    rows = [[f"{c['engine']} {c['precision']} {c['metric']}", *cells(c, CHANGE)] for c in changes]
    changed = ", ".join(f"{row[0]}: {row[1]}" for row in rows if row[1] in ("slower", "faster"))
    header = ("", "result", "new / old", "99 % from", "to", "allowance")
    return Table("Compared with the older result", header, rows, f"Changed: {changed or 'nothing that can be told'}.")


def as_text(report: Report) -> Iterator[str]:
    """The report for the terminal, part by part."""
    yield f"{report['bundle']['name']} on {report['machine']['machine']}, {report['frame']} frames"
    for title, header, rows, note in tables(report):
        if rows:
            yield f"\n{title}\n{table(rows, header)}"
            if note:
                yield note
    for each in report["skipped"]:
        yield f"left out: {each['engine']} {each['precision']}: {each['why']}"
    for warning in report["warnings"]:
        yield f"warning: {warning}"


def to_csv(report: Report) -> str:
    """One line for each engine and precision; an empty cell was not measured or has too few samples."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    columns = [*WHAT, *ALL_CALLS, *UNCONTENDED, "cpu_ms_per_frame"]
    opening = [(when, name) for when in ("cold", "cached") for name in OPENING]
    writer.writerow([*columns, *(f"{when}_{name}" for when, name in opening)])
    for row in report["results"]:
        opened = [row.get("opening", {}).get(when, {}).get(name) for when, name in opening]
        writer.writerow([*(row.get(name) for name in columns), *opened])  # csv writes None as an empty cell
    return out.getvalue()


def name_of(row: Report) -> str:
    return f"{row['engine']} {row['precision']}"


def cells(row: Report, names: Sequence[str]) -> list[object]:
    """The named values of a row; a dash for None."""
    return ["-" if row[name] is None else row[name] for name in names]


def _header(first: str, names: Sequence[str]) -> list[str]:
    return [first, *(name.removesuffix("_ms").replace("_", " ") for name in names)]
