"""The page of a benchmark: the figure people ask for first, then what it is made of, then how far to trust it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from edgefs.bench.plots import Points, distributions, lines
from edgefs.bench.words import (
    CALM,
    LATENCY,
    OPENING,
    RAW,
    camera_rows,
    cells,
    name_of,
    offline_rows,
    opened,
)
from edgefs.reports.html import document, facts, section, table

Report = Mapping[str, Any]


def render(report: Report) -> str:
    """The whole page as one HTML text, which refers to nothing outside itself."""
    return document("edgefs bench", _sections(report))


def _sections(report: Report) -> Iterator[str]:
    results = report["results"]
    yield _head(report)
    if report["warnings"]:
        yield section(
            "How far to trust this",
            *(f"<p>{escape(warning[:1].upper() + warning[1:])}.</p>" for warning in report["warnings"]),
        )
    yield _changes(report.get("changes", ()))
    yield section("One frame after the other", _latency(results), _LEGEND)
    yield section("Where the time goes", _stages(results))
    yield _distribution(results)
    yield _accuracy(report)
    yield _offline(results)
    yield _cameras(results)
    yield _opening(results)
    yield growth_section(report.get("growth", ()))
    yield section("The machine", facts(_machine(report)))


_LEGEND = (
    '<p class="soft">Milliseconds. Undisturbed: no thread of ours waited for a CPU meanwhile. A dash: the sample is too'
    " small for that percentile (99 % confidence needs 64, 130, 662 samples for p90, p95, p99). Nothing is clipped.</p>"
)


def _head(report: Report) -> str:
    best = min(report["results"], key=lambda row: row["undisturbed_p50_ms"] or row["recognize_p50_ms"] or float("inf"))
    p50 = best["undisturbed_p50_ms"] or best["recognize_p50_ms"]
    title = f"{p50:.2f} ms a frame" if p50 else "too few samples"
    threads = f"{best['threads']} CPU thread{'s' if best['threads'] > 1 else ''}"
    ran = f"{name_of(best)}, {threads}, {report['frame']} frames"
    lead = f"{escape(report['bundle']['name'])}, {escape(ran)}<br>{escape(report['machine']['machine'])}"
    brand = '<span class="brand">edgefs bench</span>'
    return f'<header>{brand}<h1>{title}</h1><p class="lead soft">{lead}</p></header>'


def _latency(results: Sequence[Report]) -> str:
    rows = [
        (label, *cells(row, names)) for row in results for label, names in ((name_of(row), RAW), ("undisturbed", CALM))
    ]
    return table(("", *LATENCY), rows)


def _stages(results: Sequence[Report]) -> str:
    stages = list(results[0]["stages_ms"])
    rows = [(name_of(row), *cells(row["stages_ms"], stages), row["cpu_ms_per_frame"]) for row in results]
    words = "<p>Medians. Decoding a JPEG is the camera's share; the copy into the engine is part of infer.</p>"
    return words + table(("ms", *stages, "CPU ms a frame"), rows)


def _distribution(results: Sequence[Report]) -> str:
    rows = {
        name_of(row): {"recognize()": row["samples_ms"]["recognize"], "engine": row["samples_ms"]["engine"]}
        for row in results
    }
    rows = {name: samples for name, samples in rows.items() if all(len(sample) for sample in samples.values())}
    if not rows:
        return ""
    words = '<p class="soft">Filled: recognize(). Line: the bare engine. Undisturbed calls.</p>'
    return section("Distribution", distributions(rows, "ms"), words)


def _accuracy(report: Report) -> str:
    series: dict[str, Points] = {}
    for measured in report["accuracy"]:
        for row in report["results"]:
            fits = measured["precision"] == row["precision"] and measured["n_shot"] == 1
            if (
                fits
                and row["undisturbed_p50_ms"]
                and row["engine"].startswith(measured["target"].replace("onnx", "onnxruntime"))
            ):
                series[name_of(row)] = [(row["undisturbed_p50_ms"], measured["accuracy"])]
    if not series:
        return ""
    words = '<p class="soft">1-shot accuracy as measured when the bundle was exported.</p>'
    return section(
        "Accuracy against latency", lines(series, "recognize(), undisturbed p50, ms", "accuracy, %", dots=True), words
    )


def _offline(results: Sequence[Report]) -> str:
    series: dict[str, list[tuple[float, float]]] = {}
    for row in results:
        for rate in row.get("offline", ()):
            name = f"{name_of(row)}, batch {rate['batch']}"
            series.setdefault(name, []).append((rate["threads"], rate["frames_per_s"]))
    if not series:
        return ""
    header = ("", "threads", "batch", "frames/s", "CPU ms a frame")
    plot = lines(series, "CPU threads", "frames a second")
    return section("Offline: threads and batch", plot, table(header, offline_rows(results)))


def _cameras(results: Sequence[Report]) -> str:
    header = (
        "",
        "cameras",
        "fps each",
        "recognised",
        "dropped",
        "frames/s",
        "CPUs used",
        "to answer p50",
        "p90",
        "p99",
    )
    rows = camera_rows(results)
    return section("Several cameras", table(header, rows)) if rows else ""


def _opening(results: Sequence[Report]) -> str:
    rows = opened(results)
    if not rows:
        return ""
    words = "<p>Each in a process of its own; cached: with the model compiled before, where the engine keeps it.</p>"
    return section("Until the first answer", words, table(("", *(name.replace("_", " ") for name in OPENING)), rows))


def growth_section(rows: Sequence[Report], more: Mapping[str, Points] | None = None) -> str:
    """What a growing gallery costs.  rows: of `growth`.  more: other curves, (shots, ms), to draw beside them."""
    if not rows:
        return ""
    series = {
        "match": [(row["shots"], row["match_p50_ms"]) for row in rows],
        "store a shot": [(row["shots"], row["enroll_shot_p50_ms"]) for row in rows if row["enroll_shot_p50_ms"]],
        **(more or {}),
    }
    names = tuple(rows[0])
    header = [name.replace("_", " ") for name in names]
    plot = lines(series, "shots", "ms, median", log=True)
    return section("A growing gallery", plot, table(header, [cells(row, names) for row in rows]))


def _changes(changes: Sequence[Report]) -> str:
    if not changes:
        return ""
    rows = [
        (
            f"{c['engine']} {c['precision']} {c['metric']}",
            c["verdict"],
            *cells(c, ("ratio", "low", "high", "allowance")),
        )
        for c in changes
    ]
    return section(
        "Compared with the older result", table(("", "verdict", "new / old", "99 % from", "to", "allowance"), rows)
    )


def _machine(report: Report) -> dict[str, str]:
    facts_, before, after = report["machine"], report["before"], report["after"]
    return {
        "board": facts_["board"] or "-",
        "date": facts_["date"],
        "versions": ", ".join(f"{name} {version}" for name, version in facts_["versions"].items()),
        **{name.replace("_", " "): f"{_said(before[name])} before, {_said(after[name])} after" for name in before},
    }


def _said(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "unknown" if value is None else str(value)
