"""Galleries of random things, and a table to accept them by."""

import numpy as np

from runtime.gallery import ClassShots
from runtime.matching.acceptance import Acceptance
from runtime.matching.prototypes import Prototypes

DIM = 24
NONE = np.zeros((0, DIM), np.float32)
TABLE = {
    "version": 2,
    "things": 40,
    "rates": [0.01, 0.05, 0.1, 0.4],
    "sizes": [1, 3, 10],
    "mean": [0.0, 0.1, 0.2],
    "excess": [[0.6, 0.5, 0.4, 0.1], [0.5, 0.4, 0.3, 0.0], [0.4, 0.3, 0.2, -0.1]],
    "cap": 0.9,
    "twin": 0.9,
}


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def pictures(rng, centre, n, spread=0.2):
    return unit(centre + spread * rng.standard_normal((n, DIM)))


def shots(label, rows, bursts=None, negatives=NONE):
    ids = np.arange(len(rows))
    return ClassShots(label, ids, rows, bursts or tuple(map(str, ids)), np.ones(len(rows), np.float32), negatives)


def gallery(rng, n_classes, n_shot=5, spread=0.2):
    centres = unit(rng.standard_normal((n_classes, DIM)))
    return {str(i): shots(str(i), pictures(rng, centre, n_shot, spread)) for i, centre in enumerate(centres)}


def prototypes_of(classes, metric="cosine"):
    return Prototypes(metric, DIM).update(classes)


def thresholds(classes, rate=0.05, table=TABLE, cohort=NONE, unknown=NONE, metric="cosine"):
    return Acceptance(table, cohort, metric, rate).thresholds(prototypes_of(classes, metric), unknown)
