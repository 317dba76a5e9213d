"""Joins the answers of all cameras to visits. Nothing here has a clock or a file; times are arguments.

A visit lasts as long as its thing is seen, with gaps of at most GAP_S. Several views of it are kept, so that a thing
can be taught from its visit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from runtime.teaching.quality import same_view

GAP_S = 3.0  # a longer interruption ends a visit
MIN_S = 0.5  # a shorter visit is not kept
UPDATE_S = 10.0  # between two writes of a visit that goes on
MAX_VIEWS = 4
BEST = {"unknown": 0, "maybe": 1, "sure": 2}


@dataclass(frozen=True, eq=False)
class View:
    """One picture of a visit: its embedding, `float32 [D]`, and its JPEG; None in privacy mode."""

    embedding: NDArray[np.float32]
    crop: bytes | None


@dataclass(frozen=True, eq=False)
class Sight:
    """What one frame of a camera shows.

    Attributes:
        camera: The camera's name.
        label: The class that is named or suggested by the smoothed answer; None for unknown.
        certainty: "sure", "maybe" or "unknown", smoothed.
        candidate: The nearest class.
        score: Its score; None if it is not finite.
        stranger: The id of the stranger in the inbox, for an unknown frame.
        view: The picture, if this frame was remembered.
    """

    camera: str
    label: str | None
    certainty: str
    candidate: str | None
    score: float | None
    stranger: int | None = None
    view: View | None = None


@dataclass(eq=False)
class OpenVisit:
    """A visit that goes on. `id` is None before its first write; times are in Unix seconds."""

    camera: str
    label: str | None
    begun_s: float
    ended_s: float
    certainty: str = "unknown"
    candidate: str | None = None
    score: float | None = None
    frames: int = 0
    views: list[View] = field(default_factory=list)
    id: int | None = None
    written_s: float | None = None


class Tracker:
    """The visits that go on. Not safe from several threads."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str | None, int | None], OpenVisit] = {}

    def update(self, sight: Sight, now_s: float) -> None:
        """Add a frame to its visit, or begin one."""
        key = sight.camera, sight.label, None if sight.label is not None else sight.stranger
        visit = self._open.get(key)
        if visit is not None and now_s - visit.ended_s > GAP_S:
            key_of_ended = (*key[:2], -1 - len(self._open))  # it waits for its last write under another key
            self._open[key_of_ended], visit = visit, None
        if visit is None:
            visit = self._open[key] = OpenVisit(sight.camera, sight.label, now_s, now_s)
        visit.ended_s, visit.frames, visit.candidate = now_s, visit.frames + 1, sight.candidate
        if BEST[sight.certainty] > BEST[visit.certainty]:
            visit.certainty = sight.certainty
        if sight.score is not None and (visit.score is None or sight.score > visit.score):
            visit.score = sight.score
        if sight.view is not None and len(visit.views) < MAX_VIEWS:
            kept = np.array([view.embedding for view in visit.views], np.float32)
            if not visit.views or not same_view(sight.view.embedding, kept):
                visit.views.append(sight.view)

    def due(self, now_s: float, *, last: bool = False) -> list[OpenVisit]:
        """Return the visits to be written now; those that have ended are then no longer tracked.

        Args:
            now_s: The time.
            last: Whether every visit ends now.
        """
        due = []
        for key, visit in list(self._open.items()):
            ended = last or now_s - visit.ended_s > GAP_S
            if ended:
                del self._open[key]
            if visit.ended_s - visit.begun_s < MIN_S or not visit.views:
                continue
            if ended or visit.written_s is None or now_s - visit.written_s >= UPDATE_S:
                visit.written_s = now_s
                due.append(visit)
        return due

    def relabel(self, label: str, to: str | None) -> None:
        """Let the open visits of a class count for another; None drops them."""
        for key, visit in list(self._open.items()):
            if visit.candidate == label:
                visit.candidate = to
            if visit.label == label:
                del self._open[key]
                if to is not None:
                    visit.label = to
                    self._open[visit.camera, to, key[2]] = visit
