"""The ground truth of a video: what is in view, as spans of time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from runtime.errors import FrameError


@dataclass(frozen=True)
class Span:
    """A span from start_s up to, but not including, end_s, in seconds of the video.

    Attributes:
        subject: What is in view.
        label: The right answer; None for "unknown".
    """

    start_s: float
    end_s: float
    subject: str
    label: str | None


def span_at(spans: Iterable[Span], time_s: float) -> Span | None:
    """The span that contains a time, or None."""
    return next((span for span in spans if span.start_s <= time_s < span.end_s), None)


def in_order(spans: Iterable[Span]) -> list[Span]:
    """Sort spans by time. Raises FrameError if a span is empty, or if two overlap: a frame cannot teach two names."""
    ordered = sorted(spans, key=lambda span: span.start_s)
    for span in ordered:
        if not 0 <= span.start_s < span.end_s:
            raise FrameError(
                f"{as_text(span)} must start at 0 or later and end after its start; give NAME=START-END in seconds"
            )
    for earlier, later in itertools.pairwise(ordered):
        if later.start_s < earlier.end_s:
            raise FrameError(
                f"{as_text(earlier)} and {as_text(later)} must not overlap: one frame cannot teach two names"
            )
    return ordered


def as_text(span: Span) -> str:
    """A span as it is written on the command line."""
    return f"{span.subject}={span.start_s:g}-{span.end_s:g}"
