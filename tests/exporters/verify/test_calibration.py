"""The rejection table of base classes."""

import numpy as np
import pytest

from exporters.errors import ExportError
from exporters.verify.calibration import calibration_table


def test_the_calibration_table_separates_genuine_from_stranger_scores():
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((12, 32))
    labels = np.repeat(np.arange(12), 30)
    embeddings = centres[labels] + 0.3 * rng.standard_normal((360, 32))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    table = calibration_table(embeddings.astype(np.float32), labels, metric="cosine")
    for n_shot in ("1", "5", "20"):
        assert table["genuine"][n_shot][5] > table["impostor"][n_shot][95]
        assert table["genuine"][n_shot] == sorted(table["genuine"][n_shot])


def test_five_classes_are_too_few_for_a_table():
    with pytest.raises(ExportError, match="more than 5 classes"):
        calibration_table(np.eye(10, dtype=np.float32), np.repeat(np.arange(5), 2), metric="cosine")
