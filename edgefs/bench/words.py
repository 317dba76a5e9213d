"""A report in words: tables for people, CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgefs.reports.tables import table

WHAT = ("engine", "version", "precision", "artifact", "arithmetic", "threads", "golden_cosine")
RAW = ("engine_p50_ms", "recognize_p50_ms", "recognize_over_engine", "p90_ms", "p95_ms", "p99_ms", "max_ms", "samples")
CALM = (
    *("undisturbed_engine_p50_ms", "undisturbed_p50_ms", "undisturbed_recognize_over_engine"),
    *(f"undisturbed_{name}" for name in ("p90_ms", "p95_ms", "p99_ms", "max_ms", "samples")),
)
LATENCY = ("engine p50", "recognize p50", "ratio", "p90", "p95", "p99", "max", "samples")  # RAW and CALM, in words
QUERY = ("p50_ms", "p90_ms", "p99_ms", "undisturbed_p50_ms")
RATE = ("threads", "batch", "frames_per_s", "cpu_ms_per_frame")
WATCHED = ("cameras", "fps", "recognised", "dropped", "frames_per_s", "cpus_used")
ARRIVAL = ("p50_ms", "p90_ms", "p99_ms")
OPENING = (
    *("import_ms", "load_ms", "compile_ms", "first_call_ms", "until_first_answer_ms"),
    *("resident_mb", "peak_memory_mb"),
)


def to_csv(report: Mapping[str, Any]) -> str:
    """One line for each engine and precision; an empty cell was not measured or is not supported by the sample."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    opening = [f"{when}_{name}" for when in ("cold", "cached") for name in OPENING]
    columns = [*WHAT, *RAW, *CALM, "cpu_ms_per_frame"]
    writer.writerow([*columns, *opening])
    for row in report["results"]:
        opened = [row.get("opening", {}).get(when, {}).get(name) for when in ("cold", "cached") for name in OPENING]
        writer.writerow(["" if cell is None else cell for cell in [*(row.get(name) for name in columns), *opened]])
    return out.getvalue()


def in_words(report: Mapping[str, Any]) -> Iterator[str]:
    """The tables of a report, one after the other."""
    results = report["results"]
    yield f"{report['bundle']['name']} on {report['machine']['machine']}, {report['frame']} frames, ms"
    rows = [(label, *cells(row, names)) for row in results for label, names in ((name_of(row), RAW), (CALMER, CALM))]
    yield table(rows, ("", *LATENCY))
    yield "undisturbed: calls in which no thread of ours waited for a CPU. -: too few samples for this percentile"
    stages = tuple(results[0]["stages_ms"])
    yield table([(name_of(row), *cells(row["stages_ms"], stages)) for row in results], ("ms a stage", *stages))
    if all("opening" in row for row in results):
        yield table(opened(results), ("opening", *OPENING))
    yield from _scenarios(results)
    if "growth" in report:
        grown = report["growth"]
        yield table([cells(row, tuple(row)) for row in grown], tuple(grown[0]))
    if "changes" in report:
        yield _found(report["changes"])
        yield from map(_change, report["changes"])
    for each in report["skipped"]:
        yield f"left out: {each['engine']} {each['precision']}: {each['why']}"
    for warning in report["warnings"]:
        yield f"warning: {warning}"


CALMER = "  undisturbed"


def _scenarios(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if queries := [(name_of(row), *cells(row["multi_stream"], QUERY)) for row in results if "multi_stream" in row]:
        yield table(queries, ("multi-stream", *QUERY))
    if rates := offline_rows(results):
        yield table(rates, ("offline", *RATE))
    if watched := camera_rows(results):
        yield table(watched, ("camera", *WATCHED, *(f"to answer {name}" for name in ARRIVAL)))


def offline_rows(results: Sequence[Mapping[str, Any]]) -> list[Sequence[object]]:
    return [(name_of(row), *cells(rate, RATE)) for row in results for rate in row.get("offline", ())]


def camera_rows(results: Sequence[Mapping[str, Any]]) -> list[Sequence[object]]:
    return [
        (name_of(row), *cells(row["camera"], WATCHED), *cells(row["camera"]["capture_to_answer"], ARRIVAL))
        for row in results
        if "camera" in row
    ]


def opened(results: Sequence[Mapping[str, Any]]) -> list[Sequence[object]]:
    return [
        (f"{name_of(row)}, {when}", *cells(row["opening"][when], OPENING))
        for row in results
        if "opening" in row
        for when in ("cold", "cached")
    ]


def name_of(row: Mapping[str, Any]) -> str:
    return f"{row['engine']} {row['precision']}"


def cells(row: Mapping[str, Any], names: Sequence[str]) -> list[object]:
    """The named values of a row; a dash for what is not there."""
    return ["-" if row[name] is None else row[name] for name in names]


def _found(changes: Sequence[Mapping[str, Any]]) -> str:
    """The comparison in one line: a change of any metric is one."""
    found = [change for change in changes if change["verdict"] in ("slower", "faster")]
    names = (f"{change['engine']} {change['precision']} {change['metric']}: {change['verdict']}" for change in found)
    return f"changed since the older result: {', '.join(names) or 'nothing that can be told'}"


def _change(change: Mapping[str, Any]) -> str:
    what = f"{change['engine']} {change['precision']} {change['metric']}: {change['verdict']}"
    if change["ratio"] is None:
        return f"{what} (too few undisturbed blocks)"
    return (
        f"{what}, {change['ratio']:.3f} times the old one (99 % interval {change['low']:.3f} to "
        f"{change['high']:.3f}, allowance {change['allowance']:.2f})"
    )
