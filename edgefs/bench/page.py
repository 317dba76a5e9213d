"""The page of a benchmark: the most important figure first, then its parts, then how reliable it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from edgefs.bench.tables import Report, Table, growing, name_of, tables
from edgefs.reports.html import document, facts, headline, section, table
from edgefs.reports.plots import Points, distributions, lines
from edgefs.reports.words import t


def render(report: Report) -> str:
    """The whole page as one HTML text, which refers to nothing outside itself."""
    return document("edgefs bench", _sections(report))


def _sections(report: Report) -> Iterator[str]:
    yield _head(report)
    if report["warnings"]:
        sentences = (f"<p>{escape(warning[:1].upper() + warning[1:])}.</p>" for warning in report["warnings"])
        yield section(t("Reasons to doubt these figures"), *sentences)
    results = report["results"]
    plots = {"One frame after the other": _distribution(results), "Offline: threads and batch": _offline(results)}
    for each in tables(report):
        is_growth = each.title == "A growing gallery"
        yield growth_section(report.get("growth", ())) if is_growth else _table(each, plots.get(each.title, ""))
    yield _accuracy(report)
    yield section(t("The machine"), facts(_machine(report)))


def _table(found: Table, plot: str = "") -> str:
    note = f'<p class="soft">{escape(t(found.note))}</p>' if found.note else ""
    return (
        section(t(found.title), plot, table([t(cell) for cell in found.header], found.rows), note) if found.rows else ""
    )


def _head(report: Report) -> str:
    best = min(report["results"], key=lambda row: _p50(row) or float("inf"))
    title = t("{ms} ms a frame", ms=f"{p50:.2f}") if (p50 := _p50(best)) else t("too few samples")
    threads = t("{n} CPU threads", n=best["threads"]) if best["threads"] > 1 else t("1 CPU thread")
    frames = t("{size} frames", size=report["frame"])
    lead = f"{report['bundle']['name']}, {name_of(best)}, {threads}, {frames}, "
    return headline("edgefs bench", title, lead + report["machine"]["machine"])


def _p50(row: Report) -> float | None:
    return row["uncontended_p50_ms"] or row["recognize_p50_ms"]  # type: ignore[no-any-return]


def _distribution(results: Sequence[Report]) -> str:
    rows = {
        name_of(row): {"recognize()": row["samples_ms"]["recognize"], t("engine"): row["samples_ms"]["engine"]}
        for row in results
        if all(row["samples_ms"].values())
    }
    words = f'<p class="soft">{t("Filled: recognize(). Line: the bare engine. Uncontended calls only.")}</p>'
    return distributions(rows, "ms") + words if rows else ""


def _accuracy(report: Report) -> str:
    series: dict[str, Points] = {}
    for measured in report["accuracy"]:
        engine = measured["target"].replace("onnx", "onnxruntime")
        for row in report["results"]:
            fits = measured["precision"] == row["precision"] and row["engine"].startswith(engine)
            if fits and measured["n_shot"] == 1 and row["uncontended_p50_ms"]:
                series[name_of(row)] = [(row["uncontended_p50_ms"], measured["accuracy"])]
    if not series:
        return ""
    words = f'<p class="soft">{t("1-shot accuracy as measured when the bundle was exported.")}</p>'
    plot = lines(series, t("recognize(), uncontended p50, ms"), t("accuracy, %"), dots=True)
    return section(t("Accuracy against latency"), plot, words)


def _offline(results: Sequence[Report]) -> str:
    series: dict[str, list[tuple[float, float]]] = {}
    for row in results:
        for rate in row.get("offline", ()):
            name = f"{name_of(row)}, {t('batch {n}', n=rate['batch'])}"
            series.setdefault(name, []).append((rate["threads"], rate["frames_per_s"]))
    return lines(series, t("CPU threads"), t("frames a second")) if series else ""


def growth_section(rows: Sequence[Report], more: Mapping[str, Points] | None = None) -> str:
    """What a growing gallery costs.

    Args:
        rows: The rows of `growth`.
        more: Other curves, (shots, ms), to draw in the same plot.
    """
    if not rows:
        return ""
    series = {
        t("match"): [(row["shots"], row["match_p50_ms"]) for row in rows],
        t("store a shot"): [(row["shots"], row["enroll_shot_p50_ms"]) for row in rows if row["enroll_shot_p50_ms"]],
        **(more or {}),
    }
    return _table(growing(rows), lines(series, t("shots"), t("ms, median"), log=True))


def _machine(report: Report) -> dict[str, str]:
    about, before, after = report["machine"], report["before"], report["after"]
    return {
        t("board"): about["board"] or "-",
        t("date"): about["date"],
        t("versions"): ", ".join(f"{name} {version}" for name, version in about["versions"].items()),
        **{t(name.replace("_", " ")): _changed(before[name], after[name]) for name in before},
    }


def _changed(before: Any, after: Any) -> str:
    return t("{before} before, {after} after", before=_plain(before), after=_plain(after))


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return t("unknown") if value is None else str(value)
