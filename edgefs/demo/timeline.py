"""Every answer of a video in one drawing: a lane for each name and for "unknown", time from left to right."""

from __future__ import annotations

import itertools
from bisect import bisect
from collections import defaultdict
from html import escape

from edgefs.demo.story import UNKNOWN, Answer, Story

WIDTH, HEIGHT = 1000, 24  # units of a lane
KINDS = ("truth", "taught", "said", "wrong")  # classes of edgefs/reports/html.css, from the lowest layer to the highest


def timeline(story: Story) -> str:
    """Outlined where it was taught, pale where it is right, filled where it was said, dark where that was wrong."""
    frame_s = 1 / (story.fps or 30)
    lessons = [(lesson.enrollment.label, lesson.span) for lesson in story.lessons]
    truth = story.recording.truth or []
    ends = [span.end_s for _, span in lessons] + [span.end_s for span in truth]
    whole_s = max([*ends, *(answer.time_s + frame_s for answer in story.answers[-1:])])
    paths: dict[tuple[str, str], str] = defaultdict(str)

    def block(name: str, kind: str, start_s: float, end_s: float) -> None:
        x, width = WIDTH * start_s / whole_s, WIDTH * (end_s - start_s) / whole_s
        paths[name, kind] += f"M{x:.1f} 0h{width:.1f}v{HEIGHT}h-{width:.1f}z"

    for span in truth:
        block(span.label or UNKNOWN, "truth", span.start_s, span.end_s)
    for label, span in lessons:
        block(label, "taught", span.start_s, span.end_s)
    taught_at = sorted(span.start_s for _, span in lessons)

    def same(answer: Answer) -> tuple[str, str, int]:  # no stretch of equal answers reaches across a lesson
        kind = "said" if answer.verdict in ("", "right") else "wrong"
        return answer.label or UNKNOWN, kind, bisect(taught_at, answer.time_s)

    for (name, kind, _), run in itertools.groupby(story.answers, key=same):
        first, *rest = run
        block(name, kind, first.time_s, (rest or [first])[-1].time_s + frame_s)
    lanes = [_lane(name, paths) for name in [*dict.fromkeys(label for label, _ in lessons), UNKNOWN]]
    return "\n".join([*lanes, f'<div class="axis soft"><span>0 s</span><span>{whole_s:.0f} s</span></div>'])


def _lane(name: str, paths: dict[tuple[str, str], str]) -> str:
    shapes = "".join(f'<path class="{kind}" d="{paths[name, kind]}"/>' for kind in KINDS if (name, kind) in paths)
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true"'
    return f'<div class="lane"><span>{escape(name)}</span><svg {box}>{shapes}</svg></div>'
