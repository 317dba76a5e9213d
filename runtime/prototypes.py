"""Nearest class mean (Snell et al. 2017, "Prototypical Networks for Few-shot Learning", arXiv:1703.05175), numpy only.

D: embedding size.  C: classes.  n: shots of a class.

A prototype is the mean of a class's shots in the bundle's metric. It is always computed from the shots themselves,
never updated in place, so adding a shot and taking it away again gives back the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from runtime.gallery import ClassShots

EXACT = 16  # classes whose Euclidean scores are always exact


class Prototypes:
    """The prototypes of a gallery's classes; `update` touches only the classes that changed.

    classes: C of them, in the gallery's order.  matrix: `float32 [C, D]`.
    spread: `float32 [C]`, mean squared distance of a class's shots to their mean.
    Scores are "higher is nearer": the cosine for "cosine", minus the Euclidean distance for "euclidean".
    """

    def __init__(self, metric: str, dim: int) -> None:
        self.metric = metric
        self.classes: tuple[ClassShots, ...] = ()
        self.matrix = np.zeros((0, dim), np.float32)
        self.spread = np.zeros(0, np.float32)
        self._centre = np.zeros(dim, np.float32)  # mean of the rows
        self._centred = self.matrix  # the rows around it
        self._squares = np.zeros(0, np.float32)  # and their squared norms

    def update(self, classes: Mapping[str, ClassShots]) -> Prototypes:
        """Return the prototypes of these classes, reusing the rows of every class object that is still the same."""
        rows = {id(shots): row for row, shots in enumerate(self.classes)}
        new = Prototypes(self.metric, self.matrix.shape[1])
        new.classes = tuple(classes.values())
        new.matrix = np.empty((len(new.classes), self.matrix.shape[1]), np.float32)
        new.spread = np.empty(len(new.classes), np.float32)
        for row, shots in enumerate(new.classes):
            known = rows.get(id(shots))
            if known is None:
                new.matrix[row] = class_mean(shots.embeddings, self.metric)
                new.spread[row] = shots.embeddings.var(axis=0, dtype=np.float64).sum()
            else:
                new.matrix[row], new.spread[row] = self.matrix[known], self.spread[known]
        if self.metric != "cosine" and new.classes:
            new._centre = new.matrix.mean(axis=0)
            new._centred = new.matrix - new._centre
            new._squares = np.einsum("cd,cd->c", new._centred, new._centred)
        return new

    def scores(self, embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score one embedding `float32 [D]` against every prototype: `float32 [C]`."""
        if self.metric == "cosine" or len(self.matrix) <= EXACT:
            return similarity(self.matrix, embedding, self.metric)
        # |r - e|² as |r|² - 2 r·e + |e|² is one matrix product, 20 times faster than C x D differences, but it cancels
        # where r is near e. So all is taken around the centre, and the nearest few, which decide, are computed exactly.
        x = embedding - self._centre
        squared = self._squares - 2 * (self._centred @ x) + x @ x
        scores = -np.sqrt(np.maximum(squared, 0))
        nearest = np.argpartition(squared, EXACT)[:EXACT]
        scores[nearest] = similarity(self.matrix[nearest], embedding, self.metric)
        return np.asarray(scores, np.float32)


def class_mean(embeddings: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    """The prototype `float32 [D]` of shots `float32 [n, D]`: their mean, on the unit sphere for "cosine"."""
    mean = embeddings.mean(axis=0, dtype=np.float64)
    if metric == "cosine":
        mean /= max(float(np.linalg.norm(mean)), 1e-12)
    return np.asarray(mean, np.float32)


def similarity(references: NDArray[np.float32], embedding: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    """Score `float32 [D]` against rows `float32 [n, D]`: cosine (inputs are unit vectors) or minus the distance."""
    if metric == "cosine":
        return references @ embedding
    return -np.linalg.norm(references - embedding, axis=1)  # type: ignore[no-any-return]
