"""The order of a gallery's classes, so that an array with a value for each class can follow a change of the gallery.

A class that did not change stays the same object (`ClassShots`). So what is derived from one class alone is taken over
by one numpy operation for all classes together, and only what is derived from a new class is computed.

C: classes now.  B: classes before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)


class Order:
    """The classes of a gallery in order. They are told apart by identity, and held so that no identity is reused."""

    def __init__(self, classes: Sequence[object] = ()) -> None:
        self.classes = classes
        self._ids = np.fromiter(map(id, classes), np.int64, len(classes))

    def rows_in(self, before: Order) -> NDArray[np.int64]:
        """The row that each class had in an earlier order: `int64 [C]`; -1 for a new class."""
        old, new = before._ids, self._ids
        start = _same(old, new)  # one change leaves all classes before it, and all after it, as they were
        end = _same(old[start:][::-1], new[start:][::-1])
        rows = np.arange(len(new))
        rows[len(new) - end :] += len(old) - len(new)
        known = {one: row for row, one in enumerate(old[start : len(old) - end].tolist(), start)}
        rows[start : len(new) - end] = [known.get(one, -1) for one in new[start : len(new) - end].tolist()]
        return rows


def taken_over(values: NDArray[T], rows: NDArray[np.int64]) -> NDArray[T]:
    """Return the values `[B, ...]` in these rows, `[C, ...]`; where the row is -1, any value of the same type."""
    if not len(values):
        return np.zeros((len(rows), *values.shape[1:]), values.dtype)
    return np.take(values, rows, axis=0, mode="clip")


def _same(one: NDArray[Any], other: NDArray[Any]) -> int:
    """How many items at the start are the same in both arrays."""
    n = min(len(one), len(other))
    different = one[:n] != other[:n]
    return int(different.argmax()) if different.any() else n
