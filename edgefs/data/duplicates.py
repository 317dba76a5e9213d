"""Images with the same pixels within one split or in two splits, found by their hashes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgefs.data.images import ImageSet


@dataclass(frozen=True)
class Duplicates:
    """Numbers of repeated images.

    Attributes:
        within: Images of a split that repeat an earlier image of it.
        conflicts: Those of them that have the label of another class.
        across: Images of the second split that are also in the first.
    """

    within: dict[str, int]
    conflicts: dict[str, int]
    across: dict[tuple[str, str], int]

    def __str__(self) -> str:
        notes = [f"{count} repeated images in {name}" for name, count in self.within.items() if count]
        notes += [f"{count} repeats in {name} under another class" for name, count in self.conflicts.items() if count]
        notes += [f"{count} images of {b} are also in {a}" for (a, b), count in self.across.items() if count]
        return "; ".join(notes) or "no image occurs twice"


def find_duplicates(splits: Mapping[str, ImageSet]) -> Duplicates:
    """Find repeated images by the hash of their pixels. Only exact repeats after preprocessing count."""
    keys = {name: part.hashes.copy().view("V16").ravel() for name, part in splits.items()}
    within, conflicts, across = {}, {}, {}
    for name, own in keys.items():
        _, first, inverse = np.unique(own, return_index=True, return_inverse=True)
        labels = splits[name].labels
        within[name] = len(own) - len(first)
        conflicts[name] = int((labels != labels[first][inverse]).sum())
    names = list(keys)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            across[a, b] = int(np.isin(keys[b], keys[a]).sum())
    return Duplicates(within, conflicts, across)
