"""The limits of every precision, and what is measured against them."""

import numpy as np
import pytest

from exporters.verify.few_shot import Paired
from exporters.verify.gates import Measured, failed_gates, measure


def measured(cosine: float = 1.0, difference: float = 0.0) -> Measured:
    paired = Paired(5, 1, 4, 600, 80.0, 80.0 + difference, 1.0, difference, 0.1)
    return Measured(cosine, cosine, 1.0, (paired,))


@pytest.mark.parametrize(("precision", "found", "message"), [
    ("fp32", measured(0.9998), "at least 0.9999"),
    ("fp16", measured(0.99), "at least 0.999"),
    ("fp16", measured(1.0, -0.6), "1-shot accuracy must not lose more than 0.5 points, but loses 0.60"),
    ("int8", measured(0.9, -1.1), "more than 1.0 points"),
    ("fp32", Measured(float("nan"), 0, 0, ()), "lowest cosine"),
    ("int8", Measured(1.0, 1.0, 1.0, ()), "five classes"),
])  # fmt: skip
def test_every_gate_says_what_must_hold_and_what_was_found(precision, found, message):
    assert any(message in line for line in failed_gates(precision, found))


@pytest.mark.parametrize(
    ("precision", "found"), [("int8", measured(0.7, -0.9)), ("fp16", measured(0.999, 2.0)), ("fp32", measured())]
)
def test_a_gain_never_fails_and_int8_is_limited_by_accuracy_alone(precision, found):
    assert failed_gates(precision, found) == []


def test_a_planted_loss_between_precisions_is_caught_by_name():
    """Turned embeddings name as many pictures right as before, but not beside prototypes that were not turned."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(8), 6)
    z = rng.standard_normal((8, 16))[labels] + 0.3 * rng.standard_normal((48, 16))
    z = (z / np.linalg.norm(z, axis=1, keepdims=True)).astype(np.float32)
    turned = np.concatenate(
        [np.cos(1.3) * z[:, :8] - np.sin(1.3) * z[:, 8:], np.sin(1.3) * z[:, :8] + np.cos(1.3) * z[:, 8:]], axis=1
    )
    found = measure(z, turned, labels, "cosine")
    assert [paired.difference for paired in found.accuracy] == pytest.approx([0, 0])
    failed = failed_gates("int8", found)
    assert len(failed) == 2
    assert all(line.startswith("taught in fp32 and asked in this precision, 5-way") for line in failed)
    assert measure(z, z, labels, "cosine").mixed == measure(z, z, labels, "cosine").accuracy


def test_the_measure_of_the_same_embeddings_is_perfect_and_of_nan_the_worst():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((24, 8)).astype(np.float32)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    labels = np.repeat(np.arange(6), 4)
    same = measure(z, z, labels, "cosine")
    assert same.min_cosine == pytest.approx(1)
    assert (same.neighbour_agreement, same.accuracy_difference) == (1, 0)
    broken = z.copy()
    broken[0, 0] = np.nan
    assert measure(z, broken, labels, "cosine").min_cosine == -1
    assert measure(z, z[:, :4], labels, "cosine").accuracy_difference is None
