"""The rejection table of a bundle: quantiles of genuine and of stranger scores on base classes never trained on.

Every episode imitates a gallery of n_way classes with n_shot shots. A genuine query is scored against the prototype of
its own class. A stranger, of a class outside the episode, gets the highest score over all prototypes, because that is
what the device compares with the threshold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exporters.errors import ExportError
from runtime.matching.prototypes import class_mean, similarity

SHOTS = (1, 2, 3, 5, 10, 20)
N_WAY = 5
N_EPISODES = 400
QUANTILES = np.linspace(0, 1, 101)


def calibration_table(
    embeddings: NDArray[np.float32], labels: NDArray[np.int64], *, metric: str, seed: int = 0
) -> dict[str, object]:
    """Return the entry `calibration` of a manifest.

    Args:
        embeddings: `float32 [N, D]` of base classes that were not trained on.
        labels: `int64 [N]`.
        metric: "cosine" or "euclidean".
        seed: Of the episodes.

    Raises:
        ExportError: Fewer than 6 classes have two pictures.
    """
    rng = np.random.default_rng(seed)
    rows = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}
    if sum(len(own) > SHOTS[0] for own in rows.values()) <= N_WAY:
        raise ExportError(
            f"a calibration table needs more than {N_WAY} classes of 2 pictures or more, but got {len(rows)} classes; "
            "add classes, or pack without a table"
        )
    genuine: dict[str, list[float]] = {}
    impostor: dict[str, list[float]] = {}
    for n_shot in SHOTS:
        usable = [label for label, own in rows.items() if len(own) > n_shot]
        if len(usable) <= N_WAY:
            continue
        own, strange = [], []
        for _ in range(N_EPISODES):
            *known, stranger = rng.choice(usable, N_WAY + 1, replace=False)
            picks = [rng.choice(rows[int(label)], n_shot + 1, replace=False) for label in known]
            prototypes = np.stack([class_mean(embeddings[pick[:-1]], metric) for pick in picks])
            own += [similarity(prototypes[i : i + 1], embeddings[pick[-1]], metric)[0] for i, pick in enumerate(picks)]
            strange += [similarity(prototypes, embeddings[i], metric).max() for i in rng.choice(rows[int(stranger)], 5)]
        genuine[str(n_shot)] = np.quantile(own, QUANTILES).round(5).tolist()
        impostor[str(n_shot)] = np.quantile(strange, QUANTILES).round(5).tolist()
    within = float(np.mean([embeddings[own].var(axis=0, ddof=1).sum() for own in rows.values() if len(own) > 1]))
    return {
        "n_way": N_WAY,
        "classes": len(rows),
        "within_variance": round(within, 5),
        "genuine": genuine,
        "impostor": impostor,
    }
