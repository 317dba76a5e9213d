"""What a "not this" would change, before it is done: recent answers, decided with and without it.

A rejected frame also counts as a stranger, so it can move every threshold a little. All answers are scored at once, and
only those whose decision could differ are decided in full: an hour of answers takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from runtime.matching import ACCEPTED, Match, Matcher
from runtime.prototypes import Rows
from runtime.recognition import Change, RejectPreview
from runtime.ring import RecentAnswer


def preview_reject(
    matcher: Matcher, after: Matcher, row: int, negative: NDArray[np.float32], answers: Sequence[RecentAnswer]
) -> RejectPreview:
    """Compare answers as they are with what they are after `negative`, `float32 [D]`, was rejected for class `row`."""
    if not answers or matcher.acceptance is None or after.acceptance is None:  # a closed set takes no no
        return RejectPreview(len(answers), ())
    embeddings = np.stack([answer.recognition.embedding for answer in answers])
    scored = matcher.scored(embeddings)
    passed, still = (demands.passes(*scored) for demands in (matcher.acceptance, after.acceptance))
    metric, own = matcher.prototypes.metric, np.flatnonzero(passed & (scored[0] == row))
    nearest = Rows(matcher.prototypes.classes[row].shots.embeddings, metric).scores_many(embeddings[own]).max(axis=1)
    refused = Rows(negative[None], metric).scores_many(embeddings[own])[:, 0]
    suspects = np.union1d(np.flatnonzero(passed != still), own[refused >= nearest - 1e-3])
    changes = []
    for index in suspects:
        was, will = (_label(view, view.decide(embeddings[index])) for view in (matcher, after))
        if was != will:
            changes.append(Change(int(index), was, will))
    return RejectPreview(len(answers), tuple(changes))


def _label(matcher: Matcher, match: Match) -> str | None:
    return matcher.prototypes.classes[match.row].shots.label if match.check == ACCEPTED else None
