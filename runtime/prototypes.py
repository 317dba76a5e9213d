"""Nearest class mean (Snell et al. 2017, "Prototypical Networks for Few-shot Learning", arXiv:1703.05175), numpy only.

D: embedding size.  C: classes.  n: shots of a class.

A prototype is the mean of a class's shots in the bundle's metric. It is always computed from the shots themselves, never
updated in place, so adding a shot and taking it away again gives back the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from runtime.gallery import ClassShots


class Prototypes:
    """The prototypes of a gallery's classes; `update` touches only the classes that changed.

    classes: C of them, in the gallery's order.  matrix: `float32 [C, D]`.
    Scores are "higher is nearer": the cosine for "cosine", minus the Euclidean distance for "euclidean".
    """

    def __init__(self, metric: str, dim: int) -> None:
        self.metric = metric
        self.classes: tuple[ClassShots, ...] = ()
        self.matrix = np.zeros((0, dim), np.float32)

    def update(self, classes: Mapping[str, ClassShots]) -> Prototypes:
        """Return the prototypes of these classes, reusing the rows of every class object that is still the same."""
        rows = {id(shots): row for shots, row in zip(self.classes, self.matrix)}
        new = Prototypes(self.metric, self.matrix.shape[1])
        new.classes = tuple(classes.values())
        new.matrix = np.empty((len(new.classes), self.matrix.shape[1]), np.float32)
        for row, shots in zip(new.matrix, new.classes):
            known = rows.get(id(shots))
            row[:] = class_mean(shots.embeddings, self.metric) if known is None else known
        return new

    def scores(self, embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score one embedding `float32 [D]` against every prototype: `float32 [C]`."""
        return similarity(self.matrix, embedding, self.metric)


def class_mean(embeddings: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    """The prototype `float32 [D]` of shots `float32 [n, D]`: their mean, on the unit sphere for "cosine"."""
    mean = embeddings.mean(axis=0, dtype=np.float64)
    if metric == "cosine":
        mean /= max(float(np.linalg.norm(mean)), 1e-12)
    return mean.astype(np.float32)


def similarity(references: NDArray[np.float32], embedding: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    """Score `float32 [D]` against rows `float32 [n, D]`: cosine (inputs are unit vectors) or minus the distance."""
    if metric == "cosine":
        return references @ embedding
    return -np.linalg.norm(references - embedding, axis=1)  # type: ignore[no-any-return]
