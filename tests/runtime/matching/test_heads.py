"""Heads: what each is for, that the choice between them is right, and that they are functions of the shots alone."""

import numpy as np
import pytest

from runtime.errors import OptionError
from runtime.gallery import ClassShots
from runtime.matching.head_choice import HeadChooser
from runtime.matching.heads import HEADS
from runtime.matching.lda import whitening
from runtime.matching.outliers import disagreeing
from runtime.matching.prototypes import Prototypes
from runtime.matching.subprototypes import MAX_PARTS, parts_of
from runtime.matching.within_scatter import Scatter

DIM = 16


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def shots(label, rows, first=0):
    ids, none = np.arange(first, first + len(rows)), np.zeros((0, rows.shape[1]), np.float32)
    return ClassShots(label, ids, rows, tuple(map(str, ids)), np.ones(len(rows), np.float32), none)


def gallery(make, n_classes=6):
    return {str(i): shots(str(i), make(i), 100 * i) for i in range(n_classes)}


def head_of(classes, choice="auto", metric="cosine"):
    prototypes = Prototypes(metric, DIM).update(classes)
    return HeadChooser(choice, DIM, 1.0, np.zeros((3, DIM), np.float32)).head(prototypes)


def accuracy(head, queries):
    return np.mean([head.scores(z)[: head.n_classes].argmax() == i for i, rows in queries.items() for z in rows])


def nuisance(rng):
    """Classes that differ in a few small directions while all vary along a few large ones: made for an LDA."""
    centres = 0.6 * rng.standard_normal((6, DIM)) * (np.arange(DIM) >= 4)
    scale = np.where(np.arange(DIM) < 4, 1.5, 0.15)
    return lambda i, n=12: unit(centres[i] + scale * rng.standard_normal((n, DIM)))


def two_sided(rng):
    """Classes of two unlike sides each: made for sub-prototypes."""
    sides = unit(rng.standard_normal((6, 2, DIM)))
    return lambda i, n=12: unit(sides[i][np.arange(n) % 2] + 0.15 * rng.standard_normal((n, DIM)))


@pytest.mark.parametrize(("world", "best"), [(nuisance, "lda"), (two_sided, "subprototypes")])
def test_the_head_made_for_a_world_is_better_there_and_is_chosen(world, best):
    make = world(np.random.default_rng(0))
    classes, queries = gallery(make), {i: make(i, 40) for i in range(6)}
    scores = {name: accuracy(head_of(classes, name), queries) for name in HEADS}
    assert scores[best] == max(scores.values())
    chosen = head_of(classes)
    assert accuracy(chosen, queries) >= max(scores.values()) - 0.01
    if best == "lda":
        assert chosen.name == "lda"


def test_where_nothing_is_to_be_gained_the_plain_mean_stays():
    rng = np.random.default_rng(0)
    centres = unit(rng.standard_normal((6, DIM)))
    assert head_of(gallery(lambda i: unit(centres[i] + 0.05 * rng.standard_normal((2, DIM))))).name == "mean"
    assert head_of({"one": shots("one", centres[:1])}).name == "mean"


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("choice", HEADS)
def test_one_and_many_are_scored_alike(choice, metric):
    make = nuisance(np.random.default_rng(0))
    head, z = head_of(gallery(make), choice, metric), make(2, 5)
    np.testing.assert_allclose(head.scores_many(z), [head.scores(row) for row in z], atol=2e-3)
    assert head.scores(z[0]).shape == (6 + 3,)


def test_another_name_is_refused():
    with pytest.raises(OptionError, match="head must be auto, mean, subprototypes, lda"):
        HeadChooser("svm", DIM, 1.0, np.zeros((0, DIM), np.float32))


@pytest.mark.parametrize("choice", HEADS)
def test_adding_and_taking_away_gives_back_the_same_bits(choice):
    make = nuisance(np.random.default_rng(1))
    classes, extra, z = gallery(make), shots("x", make(3), 900), make(0, 1)[0]
    chooser = HeadChooser(choice, DIM, 1.0, np.zeros((0, DIM), np.float32))
    before = Prototypes("cosine", DIM).update(classes)
    scores = chooser.head(before).scores(z).tobytes()
    more = before.update({**classes, "x": extra, "0": shots("0", make(0), 800)})
    assert len(chooser.head(more).scores(z)) == 7
    assert chooser.head(more.update(classes)).scores(z).tobytes() == scores


def test_the_scatter_is_exact_and_its_covariance_right():
    make = nuisance(np.random.default_rng(2))
    prototypes = Prototypes("cosine", DIM).update(gallery(make)).classes
    scatter = Scatter(DIM, 1.0)
    scatter.update(prototypes)
    total = scatter.total.tobytes()
    rows = np.concatenate([p.shots.embeddings[p.kept] - p.shots.embeddings[p.kept].mean(0) for p in prototypes])
    np.testing.assert_allclose(scatter.covariance(), rows.T @ rows / scatter.dof, atol=1e-4)
    scatter.update(prototypes[2:])
    scatter.update(prototypes[::-1])
    assert scatter.total.tobytes() == total
    scatter.update(())
    assert not scatter.total.any()
    assert scatter.dof == 0


def test_whitening_makes_a_sphere_of_what_it_was_made_for_and_is_nothing_without_shots():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((4000, DIM)) * np.linspace(0.2, 2, DIM)
    white = whitening(np.cov(rows.T), 4000)
    variances = (rows @ white.T).var(axis=0)
    assert variances.max() / variances.min() < 1.5
    np.testing.assert_array_equal(whitening(np.zeros((DIM, DIM)), 0), np.eye(DIM, dtype=np.float32))


def test_parts_are_found_and_there_are_never_more_than_four():
    rng = np.random.default_rng(0)
    sides = unit(rng.standard_normal((3, DIM)))
    rows = unit(sides[np.arange(30) % 3] + 0.1 * rng.standard_normal((30, DIM)))
    found = parts_of(rows, "cosine").means
    assert len(found) <= MAX_PARTS
    assert ((found @ sides.T).max(axis=0) > 0.95).all()
    assert len(parts_of(rows[:7], "cosine").means) == 1


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_wrong_picture_is_set_aside_and_a_second_view_of_its_kind_is_not(metric):
    rng = np.random.default_rng(0)
    good, other = unit(rng.standard_normal((2, DIM)))
    rows = unit(good + 0.1 * rng.standard_normal((9, DIM)))
    wrong = unit(other + 0.1 * rng.standard_normal((1, DIM)))
    assert disagreeing(np.concatenate([rows, wrong]), metric).tolist() == [False] * 9 + [True]
    assert not disagreeing(rows, metric).any()
    assert not disagreeing(np.concatenate([rows[:3], wrong]), metric).any()  # too few to tell
    half = np.concatenate([rows[:5], np.repeat(wrong, 4, axis=0)])
    assert not disagreeing(half, metric).any()  # no slip but another kind
