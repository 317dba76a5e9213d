"""Finds the embedded pictures that are the nearest to a picture. All are compared, a file at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefs.bulk.shards import Model, matrix, read_tables
from runtime.matching.prototypes import similarity

COLUMNS = ("path", "label", "sha256", "embedding")


@dataclass(frozen=True)
class Hit:
    """A picture that was found.

    Attributes:
        path: Where it was when it was embedded.
        label: Its folder; None if it was in the folder that was given.
        sha256: Of its content.
        score: How near it is, as in `Recognition`.
    """

    path: str
    label: str | None
    sha256: str
    score: float


def search(folder: Path, model: Model, embedding: NDArray[np.float32], top: int) -> list[Hit]:
    """Find the nearest pictures of a folder, the nearest first.

    Args:
        folder: The folder of the Parquet files.
        model: What embedded them.
        embedding: `float32 [D]`, by the same model.
        top: How many.
    """
    best: list[Hit] = []
    for table in read_tables(folder, COLUMNS):
        scores = similarity(matrix(table), embedding, model.metric)
        rows = np.argsort(-scores, kind="stable")[:top]
        for row in rows.tolist():
            path, label, digest = (table[name][row].as_py() for name in COLUMNS[:3])
            best.append(Hit(path, label, digest, float(scores[row])))
        best = sorted(best, key=lambda hit: -hit.score)[:top]
    return best
