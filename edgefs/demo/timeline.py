"""A drawing of every answer of a video: a lane for each name and for "unknown", with time from left to right."""

from __future__ import annotations

import itertools
from bisect import bisect
from collections import defaultdict
from html import escape

from edgefs.demo.playback import UNKNOWN, Answer, Playback
from edgefs.reports.words import t

WIDTH, HEIGHT = 1000, 24  # units of a lane
KINDS = (
    "truth",
    "taught",
    "answered",
    "wrong",
)  # classes of edgefs/reports/html.css, from the lowest layer to the highest


def timeline(playback: Playback) -> str:
    """Draw the lanes.

    A span is outlined where its name was taught, pale where the name is right, filled where it was answered, and dark
    where that answer was wrong.
    """
    frame_s = 1 / (playback.fps or 30)
    taught = [(each.enrollment.label, each.span) for each in playback.taught]
    truth = playback.recording.truth or []
    ends = [span.end_s for _, span in taught] + [span.end_s for span in truth]
    whole_s = max([*ends, *(answer.time_s + frame_s for answer in playback.answers[-1:])])
    paths: dict[tuple[str, str], str] = defaultdict(str)

    def block(name: str, kind: str, start_s: float, end_s: float) -> None:
        x, width = WIDTH * start_s / whole_s, WIDTH * (end_s - start_s) / whole_s
        paths[name, kind] += f"M{x:.1f} 0h{width:.1f}v{HEIGHT}h-{width:.1f}z"

    for span in truth:
        block(span.label or UNKNOWN, "truth", span.start_s, span.end_s)
    for label, span in taught:
        block(label, "taught", span.start_s, span.end_s)
    taught_at = sorted(span.start_s for _, span in taught)

    def same(answer: Answer) -> tuple[str, str, int]:  # a stretch of equal answers ends where something is taught
        kind = "answered" if answer.result in ("", "right") else "wrong"
        return answer.label or UNKNOWN, kind, bisect(taught_at, answer.time_s)

    for (name, kind, _), run in itertools.groupby(playback.answers, key=same):
        first, *rest = run
        block(name, kind, first.time_s, (rest or [first])[-1].time_s + frame_s)
    lanes = [_lane(name, paths) for name in [*dict.fromkeys(label for label, _ in taught), UNKNOWN]]
    return "\n".join([*lanes, f'<div class="axis soft"><span>0 s</span><span>{whole_s:.0f} s</span></div>'])


def _lane(name: str, paths: dict[tuple[str, str], str]) -> str:
    shapes = "".join(f'<path class="{kind}" d="{paths[name, kind]}"/>' for kind in KINDS if (name, kind) in paths)
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true"'
    return (
        f'<div class="lane"><span>{escape(t(name) if name == UNKNOWN else name)}</span><svg {box}>{shapes}</svg></div>'
    )
