"""The page of the demo: the result, the pictures behind it, the speed, and what ran."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from edgefs.demo.pictures import answer, picture
from edgefs.demo.playback import UNKNOWN, Picture, Playback, TaughtSpan
from edgefs.demo.timeline import timeline
from edgefs.reports.html import card, document, facts, figures, headline, section, table
from edgefs.reports.words import t

OWN_CLIP = """edgefs demo --source clip.mp4
edgefs demo --source clip.mp4 --teach mug=0-1.5 --teach cap=4-5 --region 320,60,600,600"""
MADE = """<p>Photographs from scikit-image, as prints on a desk, filmed by a virtual camera (seed {seed}): a hand that
moves, turns, tilts and zooms, changing light, motion blur, sensor noise. The film is encoded to a file and read back
like any other video. Every clip has its own desk, light and movement.</p>
<p>The strangers are {strangers}. They, and the ranges of the camera, were fixed before any result was seen. The
interval counts frames as independent; frames of one clip are not, so the true uncertainty is larger.</p>"""


def render(playback: Playback, report: dict[str, Any], metric: str) -> str:
    """The whole page as one HTML text. metric: of the bundle; only a cosine has a scale to draw."""
    return document("edgefs demo", _sections(playback, report, metric))


def _sections(playback: Playback, report: dict[str, Any], metric: str) -> Iterator[str]:
    yield _head(report)
    yield _figures(report)
    yield _timeline(playback, report)
    yield section(t("Taught and recognised"), *(_subject(playback, report, row, metric) for row in _rows(report)))
    yield _mistakes(playback, metric)
    yield _refused(playback.taught)
    yield f'<div class="two">{_latency(report)}{_ran(report)}</div>'
    yield _made(report) if "known" in report else ""
    yield section(
        t("Your own clip"),
        f"<p>{t('Teach from the first second, or name the spans in seconds.')}</p><pre>{escape(OWN_CLIP)}</pre>",
    )


def _head(report: dict[str, Any]) -> str:
    n = len({each["label"] for each in report["taught"]})
    seconds = sum(each["end_s"] - each["start_s"] for each in report["taught"])
    took = f"{seconds:.0f}\N{NO-BREAK SPACE}s"
    things = t("{n} things taught in {took}", n=n, took=took) if n > 1 else t("1 thing taught in {took}", took=took)
    missed = "known" in report and not report["passed"]
    result = t(", recognised less well than required") if missed else t(", then recognised")
    frames = f"{report['frames']:,}"
    lead = t("No training step. Then {frames} other frames came in one at a time, as from a camera.", frames=frames)
    return headline("edgefs demo", things + result, lead)


def _figures(report: dict[str, Any]) -> str:
    cards = []
    if "known" in report:
        cards += [
            _share(report["known"], t("of known frames named right")),
            _share(report["strangers"], t("of stranger frames called unknown")),
        ]
    else:
        counts, total = report["answers"], max(1, report["frames"])
        known = report["frames"] - counts.get(UNKNOWN, 0)
        share = t("frames recognised, {share} % of {frames}", share=f"{100 * known / total:.0f}", frames=f"{total:,}")
        cards += [card(f"{known:,}", share)]
        cards += [card(f"{counts.get(UNKNOWN, 0):,}", t("frames called unknown"))]
    total_ms = report["latency_ms"]["total"]
    if total_ms:
        words = t("a frame from file to answer; 9 of 10 within {ms} ms", ms=f"{total_ms['p90']:.1f}")
        cards.append(card(f"{total_ms['p50']:.1f} ms", words))
    return figures(cards)


def _share(share: dict[str, Any], words: str) -> str:
    needs = t(
        "{right} of {frames}; 95 % interval {low} to {high} %; required {required} %",
        right=f"{share['right']:,}",
        frames=f"{share['frames']:,}",
        low=f"{100 * share['low']:.1f}",
        high=f"{100 * share['high']:.1f}",
        required=f"{100 * share['required']:.0f}",
    )
    result = "" if share["passed"] else t("Missed. ")
    return card(f"{100 * share['share']:.1f} %", words, result + needs, missed=not share["passed"])


def _timeline(playback: Playback, report: dict[str, Any]) -> str:
    if not playback.answers:
        return ""
    keys = [("taught", t("taught")), ("answered", t("answered so"))]
    if "known" in report:
        keys += [("wrong", t("answered so, wrongly")), ("truth", t("would have been right"))]
    legend = "".join(f'<span><i class="key {kind}"></i> {meaning}</span>' for kind, meaning in keys)
    return section(t("Every answer"), timeline(playback), f'<p class="legend soft">{legend}</p>')


def _rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    """What the pictures are grouped by: subjects where the truth is known, else answers."""
    if "subjects" in report:
        return list(report["subjects"])
    names = dict.fromkeys(each["label"] for each in report["taught"])
    names |= dict.fromkeys(report["answers"])  # "unknown" only if anything was
    return [{"subject": name, "known": name != UNKNOWN, "frames": report["answers"].get(name, 0)} for name in names]


def _subject(playback: Playback, report: dict[str, Any], row: dict[str, Any], metric: str) -> str:
    name = row["subject"]
    shots = [shown for each in playback.taught if each.enrollment.label == name for shown in each.shots]
    samples = playback.samples[name].in_order() if name in playback.samples else []
    stranger = "subjects" in report and not row["known"]
    title = escape(t(name) if name == UNKNOWN else name) + (
        f' <span class="soft">{t("a stranger, never taught")}</span>' if stranger else ""
    )
    frames = f"{row['frames']:,}"
    right = t("{right} of {frames} frames right", right=f"{row['right']:,}", frames=frames) if "right" in row else ""
    count = right or t("{frames} frames", frames=frames)
    kept = sum(each["kept"] for each in report["taught"] if each["label"] == name)
    taught = [picture(shown, f"{shown.time_s:.1f} s", t("{name}, taught", name=name)) for shown in shots]
    seen = [answer(shown, metric) for shown in samples]
    return (
        f'<div class="subject"><header><h3>{title}</h3><span class="soft">{count}</span></header>'
        + _strip("strip", t("Taught: {n} shots kept", n=kept), taught)
        + _strip("sheet", t("Recognised") if shots else t("Seen"), seen)
        + "</div>"
    )


def _strip(kind: str, title: str, figures: list[str]) -> str:
    return f'<p class="strip-name">{escape(title)}</p><div class="{kind}">{"".join(figures)}</div>' if figures else ""


def _mistakes(playback: Playback, metric: str) -> str:
    if playback.recording.truth is None:
        return ""
    shown, total = playback.mistakes.in_order(), playback.mistakes.seen
    if not shown:
        return section(t("Mistakes"), f"<p>{t('None.')}</p>")
    drawn = t("{n} of {total}, drawn at random.", n=len(shown), total=f"{total:,}")
    words = t("All {total}.", total=total) if total == len(shown) else drawn
    figures = "".join(answer(each, metric, title=_called(each)) for each in shown)
    return section(t("Mistakes"), f"<p>{words}</p>", f'<div class="sheet">{figures}</div>')


def _called(shown: Picture) -> str:
    label = shown.answer.label if shown.answer else None
    return t("{subject}, called {label}", subject=shown.subject, label=label or t(UNKNOWN))


def _refused(taught: list[TaughtSpan]) -> str:
    reasons = Counter(frame.reason for each in taught for frame in each.enrollment.rejected)
    counts = ", ".join(f"{n:,} × {t(reason)}" for reason, n in reasons.most_common())
    counts = counts or t("none, every one added something")
    figures = [_refusal(shown) for each in taught for shown in each.refused]
    words = t("Of {frames} frames: {counts}.", frames=f"{sum(each.n_frames for each in taught):,}", counts=counts)
    return section(
        t("Refused while teaching"),
        f"<p>{escape(words)}</p>",
        f'<div class="sheet">{"".join(figures)}</div>' if figures else "",
    )


def _refusal(shown: Picture) -> str:
    reason = t(shown.reason or "")
    caption = f"<b>{escape(reason)}</b>{escape(shown.subject or '')}, {shown.time_s:.1f} s"
    return picture(shown, caption, t("{subject}, refused: {reason}", subject=shown.subject, reason=reason))


def _latency(report: dict[str, Any]) -> str:
    rows = [(t(stage), f"{ms['p50']:.2f}", f"{ms['p90']:.2f}") for stage, ms in report["latency_ms"].items() if ms]
    return section(t("How fast"), table((t("stage"), t("median, ms"), t("9 of 10 within, ms")), rows))


def _ran(report: dict[str, Any]) -> str:
    engine, bundle = report["engine"], report["bundle"]
    pairs = {
        t("bundle"): bundle["name"],
        t("fingerprint"): bundle["fingerprint"][:16],
        t("engine"): f"{engine['name']} {engine['version']}, {engine['precision']}, "
        + t("{n} CPU threads", n=engine["threads"]),
        t("why"): engine["reason"],
        t("verified"): t("golden frames agree to {cosine}", cosine=f"{engine['golden_cosine']:.5f}"),
        t("video"): Path(report["video"]).name,
        t("took"): t("{seconds} s in all", seconds=f"{report['seconds']:.0f}"),
    }
    return section(t("What ran"), facts(pairs))


def _made(report: dict[str, Any]) -> str:
    strangers = t(" and ").join(row["subject"] for row in report["subjects"] if not row["known"])
    return section(t("How this was made"), t(MADE, seed=report["seed"], strangers=escape(strangers)))
