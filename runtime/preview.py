"""What a "not this" would change, before it is done: recent answers, decided with and without it.

A rejected frame also counts as a stranger, so it can move every threshold a little. All answers are scored at once, and
only those whose decision could differ are decided in full: an hour of answers takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from runtime.matching import ACCEPTED, Match, Matcher
from runtime.prior import Prior
from runtime.prototypes import Rows
from runtime.recognition import Change, RejectPreview
from runtime.ring import RecentAnswer
from runtime.unknowns import acceptance


def preview_reject(
    matcher: Matcher,
    prior: Prior | None,
    bank: NDArray[np.float32],
    row: int,
    negative: NDArray[np.float32],
    answers: Sequence[RecentAnswer],
) -> RejectPreview:
    """Compare the answers with what they would be if `negative`, `float32 [D]`, were rejected for class `row`."""
    if not answers or matcher.head is None or prior is None:  # a closed set takes no no
        return RejectPreview(len(answers), ())
    classes = list(matcher.prototypes.classes)
    shots = classes[row].shots
    classes[row] = replace(classes[row], shots=replace(shots, negatives=np.vstack([shots.negatives, negative])))
    prototypes = matcher.prototypes.replaced(classes)
    after = Matcher(prototypes, matcher.head, acceptance(prior, prototypes, matcher.head, bank))
    embeddings = np.stack([answer.recognition.embedding for answer in answers])
    best, passed = matcher.pass_by_score(embeddings)
    _, still = after.pass_by_score(embeddings)
    metric = matcher.prototypes.metric
    nearest = Rows(shots.embeddings, metric).scores_many(embeddings).max(axis=1)
    refused = Rows(negative[None], metric).scores_many(embeddings)[:, 0]
    suspects = np.flatnonzero((passed != still) | (passed & (best == row) & (refused >= nearest - 1e-3)))
    changes = []
    for index in suspects:
        was, will = (_label(view, view.decide(embeddings[index])) for view in (matcher, after))
        if was != will:
            changes.append(Change(int(index), was, will))
    return RejectPreview(len(answers), tuple(changes))


def _label(matcher: Matcher, match: Match) -> str | None:
    return matcher.prototypes.classes[match.row].shots.label if match.check == ACCEPTED else None
