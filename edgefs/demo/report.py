"""From what happened to figures: one JSON-able object, which the table and the page both show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from edgefs.demo.story import STAGES, UNKNOWN, Answer, Lesson, Story
from edgefs.evaluation.metrics import wilson
from runtime.recognizer import Recognizer

REQUIRED = {"known": 0.95, "strangers": 0.90}  # share of frames answered right; what the embedded bundle must reach
MAX_BINS, MIN_BIN_S = 600, 1.0  # of the timeline


def build(story: Story, recognizer: Recognizer) -> dict[str, Any]:
    """The report. "passed": with truth, whether REQUIRED is reached; without, whether every lesson kept a frame."""
    report: dict[str, Any] = {
        "bundle": {
            "name": recognizer.bundle.name,
            "path": recognizer.bundle.where,
            "fingerprint": recognizer.bundle.fingerprint,
        },
        "engine": asdict(recognizer.engine.info),
        "video": str(story.recording.path),
        "taught": [_taught(lesson) for lesson in story.lessons],
        "frames": len(story.answers),
        "answers": dict(Counter(answer.label or UNKNOWN for answer in story.answers).most_common()),
        "latency_ms": {stage: _percentiles(story.latencies_ms[stage]) for stage in STAGES},
        "timeline": _timeline(story.answers),
    }
    if story.recording.truth is None:
        return {**report, "passed": all(lesson["kept"] for lesson in report["taught"])}
    subjects = {span.subject: span.label for span in story.recording.truth}
    in_order = sorted(subjects.items(), key=lambda item: (item[1] is None, item[0]))  # strangers last
    report["subjects"] = [_subject(name, label, story.answers) for name, label in in_order]
    known = [row for row in report["subjects"] if row["known"]]
    strangers = [row for row in report["subjects"] if not row["known"]]
    report["known"] = _share(known, REQUIRED["known"])
    report["strangers"] = _share(strangers, REQUIRED["strangers"])
    return {**report, "passed": report["known"]["passed"] and report["strangers"]["passed"]}


def _taught(lesson: Lesson) -> dict[str, Any]:
    return {
        "label": lesson.enrollment.label,
        "start_s": round(lesson.span.start_s, 3),
        "end_s": round(lesson.span.end_s, 3),
        "frames": lesson.n_frames,
        "kept": len(lesson.enrollment.accepted),
        "refused": dict(Counter(frame.reason for frame in lesson.enrollment.rejected).most_common()),
        "advice": list(lesson.enrollment.advice),
    }


def _subject(name: str, label: str | None, answers: Sequence[Answer]) -> dict[str, Any]:
    verdicts = Counter(answer.verdict for answer in answers if answer.subject == name)
    counts = {verdict: verdicts[verdict] for verdict in ("right", "wrong", "unknown")}
    return {"subject": name, "known": label is not None, "frames": verdicts.total(), **counts}


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
