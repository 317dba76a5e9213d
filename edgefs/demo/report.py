"""The figures of a demo run as one object that JSON can hold; the terminal and the page show it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from edgefs.demo.playback import STAGES, UNKNOWN, Answer, Playback, TaughtSpan
from edgefs.evaluation.metrics import wilson
from runtime.recognizer import Recognizer

REQUIRED = {"known": 0.95, "strangers": 0.90}  # share of frames that the embedded bundle must answer right
MAX_BINS, MIN_BIN_S = 600, 1.0  # of the timeline


def build(playback: Playback, recognizer: Recognizer) -> dict[str, Any]:
    """Build the report. "passed": REQUIRED is reached; without a known truth, every span has an accepted frame."""
    report: dict[str, Any] = {
        "bundle": {
            "name": recognizer.bundle.name,
            "path": recognizer.bundle.where,
            "fingerprint": recognizer.bundle.fingerprint,
        },
        "engine": asdict(recognizer.engine.info),
        "video": str(playback.recording.path),
        "taught": [_taught(each) for each in playback.taught],
        "frames": len(playback.answers),
        "answers": dict(Counter(answer.label or UNKNOWN for answer in playback.answers).most_common()),
        "latency_ms": {stage: _percentiles(playback.latencies_ms[stage]) for stage in STAGES},
        "timeline": _timeline(playback.answers),
    }
    if playback.recording.truth is None:
        return {**report, "passed": all(each["kept"] for each in report["taught"])}
    subjects = {span.subject: span.label for span in playback.recording.truth}
    in_order = sorted(subjects.items(), key=lambda item: (item[1] is None, item[0]))  # strangers last
    report["subjects"] = [_subject(name, label, playback.answers) for name, label in in_order]
    known = [row for row in report["subjects"] if row["known"]]
    strangers = [row for row in report["subjects"] if not row["known"]]
    report["known"] = _share(known, REQUIRED["known"])
    report["strangers"] = _share(strangers, REQUIRED["strangers"])
    return {**report, "passed": report["known"]["passed"] and report["strangers"]["passed"]}


def _taught(each: TaughtSpan) -> dict[str, Any]:
    return {
        "label": each.enrollment.label,
        "start_s": round(each.span.start_s, 3),
        "end_s": round(each.span.end_s, 3),
        "frames": each.n_frames,
        "kept": len(each.enrollment.accepted),
        "refused": dict(Counter(frame.reason for frame in each.enrollment.rejected).most_common()),
        "advice": list(each.enrollment.advice),
    }


def _subject(name: str, label: str | None, answers: Sequence[Answer]) -> dict[str, Any]:
    results = Counter(answer.result for answer in answers if answer.subject == name)
    counts = {result: results[result] for result in ("right", "wrong", "unknown")}
    return {"subject": name, "known": label is not None, "frames": results.total(), **counts}


def _share(rows: Sequence[dict[str, Any]], required: float) -> dict[str, Any]:
    right, total = sum(row["right"] for row in rows), sum(row["frames"] for row in rows)
    low, high = wilson(right, total)
    share = right / total if total else 0.0
    return {
        "frames": total,
        "right": right,
        "share": round(share, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "required": required,
        "passed": share >= required,
    }


def _percentiles(values: Sequence[float]) -> dict[str, float] | None:
    return {f"p{p}": round(float(np.percentile(values, p)), 3) for p in (50, 90)} if values else None


def _timeline(answers: Sequence[Answer]) -> dict[str, Any]:
    """Answers counted in bins of equal length, a second or longer."""
    end_s = answers[-1].time_s if answers else 0.0
    bin_s = max(MIN_BIN_S, end_s / MAX_BINS)
    bins: dict[int, Counter[str]] = {}
    for answer in answers:
        bins.setdefault(int(answer.time_s / bin_s), Counter())[answer.label or UNKNOWN] += 1
    return {"bin_s": bin_s, "bins": [{"start_s": round(i * bin_s, 3), "answers": dict(bins[i])} for i in sorted(bins)]}
