"""The HTML page of an export: what was kept and why, how far each artifact differs from float32, and how fast it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from edgefs.reports.html import card, document, facts, figures, headline, section, table
from edgefs.reports.words import t

HOW = """Every artifact embedded the same pictures as the source in float32, in the engine that a device uses. Cosine:
the lowest agreement of two embeddings of a picture. Neighbours: the share of pictures whose nearest other picture
stayed the same. Points: few-shot accuracy minus that of the source over the same episodes, with the 95 % interval.
Milliseconds: the median time of one frame on this machine, all artifacts in turn. TensorRT plans do not run here; the
ONNX files that they were built from are measured instead."""


def render(report: Mapping[str, Any]) -> str:
    """Return the page as HTML. report: the result of `edgefs export --json -`."""
    return document(t("{name}, exported", name=report["name"]), _sections(report))


def _sections(report: Mapping[str, Any]) -> Iterator[str]:
    artifacts = report["artifacts"]
    kept = [made for made in artifacts if made["kept"]]
    verified = report["verified_on"]
    yield headline(
        "edgefs export",
        t("{name}: {n} of {total} artifacts kept", name=report["name"], n=len(kept), total=len(artifacts)),
        t("Compared with the source in float32 on {pictures} pictures, the {kind} of {source}.", **verified),
    )
    yield figures(_cards(report, kept))
    shots = next((made["accuracy"] for made in artifacts if made["accuracy"]), ())
    header = [t("artifact"), "", "MB", t("lowest cosine"), t("1 in 100 lower"), t("neighbours")]
    header += [*(t("{n}-shot, points", n=paired["n_shot"]) for paired in shots), "ms"]
    rows = (_row(made, len(shots)) for made in artifacts)
    yield section(t("Artifacts"), table(header, rows), f'<p class="soft">{escape(t(HOW))}</p>')
    yield section(t("Why"), facts({f"{made['target']} {made['precision']}": made["reason"] for made in artifacts}))
    if left_out := report.get("not_served"):
        yield section(t("Not served by Triton"), facts(left_out))
    yield section(t("Bundle"), facts({t(key): str(report[key]) for key in ("bundle", "fingerprint")}))


def _cards(report: Mapping[str, Any], kept: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    timed = [made for made in kept if made["latency_ms"]]
    if timed:
        best = min(timed, key=lambda made: made["latency_ms"])
        ratio = report["source_ms"] / best["latency_ms"]
        words = t("a frame in {artifact}, the fastest kept", artifact=f"{best['target']} {best['precision']}")
        yield card(
            f"{best['latency_ms']:.1f} ms", words, t("{ratio} times the speed of the source", ratio=f"{ratio:.1f}")
        )
    measured = [made for made in kept if made["min_cosine"] is not None]
    if measured:
        worst = min(measured, key=lambda made: made["min_cosine"])
        yield card(f"{worst['min_cosine']:.4f}", t("lowest cosine kept"), f"{worst['target']} {worst['precision']}")
    failed = [made for made in report["artifacts"] if made["failed"]]
    if failed:
        names = ", ".join(f"{made['target']} {made['precision']}" for made in failed)
        yield card(str(len(failed)), t("not built, or failed a gate"), names, missed=True)


def _row(made: Mapping[str, Any], n_points: int) -> list[str]:
    points = [f"{paired['difference']:+.2f} ± {paired['difference_interval']:.2f}" for paired in made["accuracy"]]
    points = points or ["-"] * n_points
    return [
        f"{made['target']} {made['precision']}",
        t("kept") if made["kept"] else t("left out"),
        f"{made['bytes'] / 1e6:.2f}",
        number(made["min_cosine"], ".5f"),
        number(made["p1_cosine"], ".5f"),
        number(made["neighbour_agreement"], ".1%"),
        *points,
        number(made["latency_ms"], ".2f"),
    ]


def number(value: float | None, form: str) -> str:
    """Format a number; "-" stands for what was not measured."""
    return "-" if value is None else format(value, form)
