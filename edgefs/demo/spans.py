"""What is in view when: the ground truth of a video, as stretches of time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from runtime.errors import FrameError


@dataclass(frozen=True)
class Span:
    """From start_s up to, not including, end_s, in seconds of the video.

    subject: what is in view.  label: the answer that is right, None for "unknown".
    """

    start_s: float
    end_s: float
    subject: str
    label: str | None


def span_at(spans: Iterable[Span], time_s: float) -> Span | None:
    """The span that holds a moment, if there is one."""
    return next((span for span in spans if span.start_s <= time_s < span.end_s), None)


def in_order(spans: Iterable[Span]) -> list[Span]:
    """Sort spans by time. Raises FrameError if one is empty, or if two share frames: those would teach two names."""
    ordered = sorted(spans, key=lambda span: span.start_s)
    for span in ordered:
        if not 0 <= span.start_s < span.end_s:
            raise FrameError(
                f"{words(span)} must start at 0 or later and end after its start; give NAME=START-END in seconds"
            )
    for earlier, later in itertools.pairwise(ordered):
        if later.start_s < earlier.end_s:
            raise FrameError(f"{words(earlier)} and {words(later)} must not overlap: one frame cannot teach two names")
    return ordered


def words(span: Span) -> str:
    """A span as it is written on the command line."""
    return f"{span.subject}={span.start_s:g}-{span.end_s:g}"
