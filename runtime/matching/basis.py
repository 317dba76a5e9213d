"""What is fitted to a gallery as a whole (which head, its whitening, the level of strangers) is fitted to its first
shots: so one shot more costs what it changes itself, and the whole is fitted again when there are a tenth more.

With n shots the basis is the first m by id, m being n without what follows its four leading binary digits: up to 15
shots all of them, of 1,000 shots 960. The number of classes is cut the same way. So it is a function of the gallery
alone: after an undo, or opened again, everything is fitted to the same shots.
"""

from __future__ import annotations

import operator
from dataclasses import replace

import numpy as np

from runtime.matching.prototypes import Prototype, Prototypes, prototype

DIGITS = 4  # a step is an eighth of n at most, a sixteenth at least


def leading(n: int) -> int:
    """n without what follows its leading binary digits."""
    rest = max(0, n.bit_length() - DIGITS)
    return n >> rest << rest


def basis_of(prototypes: Prototypes, before: Prototypes) -> Prototypes:
    """The basis of a gallery of at least one class. before: an earlier basis, returned itself if it is still the same.

    A class that was taught since counts with its first shot.
    """
    classes = prototypes.classes[: leading(len(prototypes.classes))]
    ids = np.concatenate([proto.shots.ids for proto in classes])
    last = ids[np.cumsum([len(proto.shots.ids) for proto in classes]) - 1]
    m = leading(len(ids))
    cut = int(np.partition(ids, m - 1)[m - 1])
    whole = (last <= cut).tolist()
    same, known = {id(proto) for proto in before.classes}, None
    basis = []
    for proto, all_of_it in zip(classes, whole, strict=True):
        if not (all_of_it and id(proto) in same):
            known = known or {int(p.shots.ids[0]): p for p in before.classes}
            n = len(proto.shots.ids) if all_of_it else max(1, int(np.searchsorted(proto.shots.ids, cut, side="right")))
            proto = _first(proto, n, known.get(int(proto.shots.ids[0])), prototypes.metric)
        basis.append(proto)
    if len(basis) == len(before.classes) and all(map(operator.is_, basis, before.classes)):
        return before
    return before.replaced(basis)


def _first(proto: Prototype, n: int, before: Prototype | None, metric: str) -> Prototype:
    """The prototype of the first n shots of a class; `before` if it is the same."""
    shots = proto.shots
    if before is not None and all(
        np.array_equal(getattr(before.shots, name), getattr(shots, name)[:n])
        for name in ("ids", "embeddings", "qualities")
    ):
        return before
    if n == len(shots.ids):
        return proto
    first = replace(
        shots,
        ids=shots.ids[:n],
        embeddings=shots.embeddings[:n],
        bursts=shots.bursts[:n],
        qualities=shots.qualities[:n],
    )
    return prototype(first, metric)
