"""How well each class is known, and what is promised about strangers: for the one who teaches."""

from __future__ import annotations

from runtime.matching import Matcher
from runtime.recognition import ClassSummary


def summaries(matcher: Matcher, stranger_rate: float | None) -> list[ClassSummary]:
    """Sum up every class of a gallery."""
    return [_summary(matcher, row, stranger_rate) for row in range(len(matcher.prototypes.classes))]


def _summary(matcher: Matcher, row: int, stranger_rate: float | None) -> ClassSummary:
    proto, demands = matcher.prototypes.classes[row], matcher.acceptance
    shots = proto.shots
    promise, needed, views = "nothing: a closed set accepts every stranger", 0, float(len(shots.ids))
    if stranger_rate is not None and demands:
        rate = f"{100 * stranger_rate:g} %"
        needed, views = demands.views_needed(row, stranger_rate), float(demands.views[row])
        promise = f"{needed} more views of other things for {rate}" if needed else f"≤ {rate} of strangers"
    return ClassSummary(
        label=shots.label,
        n_shots=len(shots.ids),
        n_views=views,
        n_bursts=len(set(shots.bursts)),
        n_negatives=len(shots.negatives),
        head=matcher.head.name if matcher.head else "mean",
        promise=promise,
        views_needed=needed,
        set_aside=proto.set_aside,
    )
