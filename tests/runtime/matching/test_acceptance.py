"""The score a class asks for: what raises it, what lowers it, and what never touches it."""

import importlib.util
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from runtime.errors import OptionError
from runtime.matching.acceptance import (
    MAX_MAYBE,
    MIN_UNKNOWN,
    NEAREST,
    SHARE,
    Acceptance,
    base,
    class_offsets,
    level,
    missed_by_few,
    normal_base,
)
from runtime.matching.twins import Strangers

spec = importlib.util.spec_from_file_location("random_gallery", "tests/random_gallery.py")
random_gallery = importlib.util.module_from_spec(spec)
spec.loader.exec_module(random_gallery)
DIM, NONE, TABLE, gallery, pictures, prototypes_of, shots, thresholds, unit = (
    getattr(random_gallery, name)
    for name in ["DIM", "NONE", "TABLE", "gallery", "pictures", "prototypes_of", "shots", "thresholds", "unit"]
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# -- the offset


def test_the_offset_is_half_the_mean_score_of_the_eight_nearest_cohort_vectors():
    scores = np.random.default_rng(0).uniform(-1, 1, (3, 20))
    expected = [0.5 * np.mean(sorted(row)[-8:]) for row in scores]
    np.testing.assert_allclose(class_offsets(scores), expected)
    assert (NEAREST, SHARE) == (8, 0.5)
    np.testing.assert_allclose(class_offsets(scores[:, :3]), 0.5 * scores[:, :3].mean(axis=1))
    np.testing.assert_array_equal(class_offsets(np.zeros((3, 0))), [0, 0, 0])
    some = np.where(np.arange(20) < 6, scores, -np.inf)  # the others are left out
    np.testing.assert_allclose(class_offsets(some), 0.5 * scores[:, :6].mean(axis=1))
    np.testing.assert_array_equal(class_offsets(np.full((3, 9), -np.inf)), [0, 0, 0])


def test_a_class_that_resembles_the_cohort_needs_a_higher_score(rng):
    classes = gallery(rng, 3)
    like_first = pictures(rng, classes["0"].embeddings.mean(axis=0), 8)
    cohort = np.concatenate([like_first, unit(rng.standard_normal((40, DIM)))])
    asked = thresholds(classes, cohort=cohort, table={**TABLE, "cap": 9.0}).sure
    prototypes = prototypes_of(classes)
    offsets = class_offsets(prototypes.class_scores(cohort).T)
    np.testing.assert_allclose(asked - asked[0], offsets - offsets[0], atol=1e-6)
    assert asked[0] > max(asked[1:]) + 0.1


# -- the base


def test_the_base_is_that_of_the_table_where_the_gallery_shows_nothing(rng):
    one = gallery(rng, 1)
    assert thresholds(one).sure[0] == pytest.approx(0.5)
    assert thresholds(one, rate=0.1).sure[0] == pytest.approx(0.4)
    assert thresholds(one, rate=0.4).sure[0] == pytest.approx(0.1)
    assert base(TABLE, 3, Strangers(0, 0, 0), 0.05) == pytest.approx(0.1 + 0.4)


@pytest.mark.parametrize("n_classes", [1, 2, 5, 30])
def test_a_lower_rate_asks_for_a_higher_score(rng, n_classes):
    classes = gallery(rng, n_classes)
    asked = [thresholds(classes, rate).sure for rate in (0.4, 0.1, 0.05, 0.01)]
    for looser, stricter in pairwise(asked):
        assert (stricter > looser).all()


def test_classes_that_score_high_against_each_other_raise_the_base(rng):
    unlike = gallery(rng, 4)
    common = unit(rng.standard_normal(DIM))
    alike = {
        label: shots(label, pictures(rng, unit(unit(one.embeddings.mean(axis=0)) + common), 5))
        for label, one in unlike.items()
    }
    assert thresholds(alike, table={**TABLE, "twin": 2.0}).sure.min() > thresholds(unlike).sure.max() + 0.1


def test_the_gallery_counts_the_more_the_more_bursts_it_has():
    levels = [level(Strangers(0.5, 0.3, bursts), 0.1) for bursts in (0, 2, 20, 10_000)]
    assert levels[:2] == pytest.approx([0.1, (0.5 + 0.1) / 2])
    assert levels == sorted(levels)
    assert levels[-1] == pytest.approx(0.5, abs=1e-3)


def test_single_pictures_that_score_high_when_left_out_raise_the_base(rng):
    tight, loose = gallery(rng, 4, spread=0.02), gallery(rng, 4, spread=0.3)
    assert missed_by_few(prototypes_of(tight), np.zeros(4)) > 0.95 > missed_by_few(prototypes_of(loose), np.zeros(4))
    table = {**TABLE, "cap": 2.0}
    left_out = np.concatenate([one.left_out for one in prototypes_of(tight).classes])
    asked = thresholds(tight, table=table).sure
    assert np.mean(left_out < asked[0]) <= 0.051  # of 20 left-out pictures at most one is missed
    assert asked.min() == pytest.approx(np.quantile(left_out, 0.03))
    one_burst = {label: replace(one, bursts=(label,) * 5) for label, one in tight.items()}
    assert thresholds(one_burst, table=table).sure.max() < asked.min()  # frames of one video are too much alike to tell
    few = {label: tight[label] for label in "01"}
    assert missed_by_few(prototypes_of(few), np.zeros(2)) == -np.inf


# -- what a person showed


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_at_most_the_asked_share_of_the_frames_shown_as_unknown_passes(rng, rate):
    classes = gallery(rng, 4)
    near = pictures(rng, unit(classes["0"].embeddings.mean(axis=0)), 200, 0.1)  # like the first class, but not it
    table = {**TABLE, "cap": 2.0}
    cohort = unit(rng.standard_normal((16, DIM)))
    scores = prototypes_of(classes).class_scores(near)
    before = thresholds(classes, rate, table, cohort).sure
    after = thresholds(classes, rate, table, cohort, unknown=near).sure
    assert np.mean((scores >= before).any(axis=1)) > 2 * rate
    assert np.mean((scores >= after).any(axis=1)) <= rate + 1e-9
    assert (after > before).all()


def test_fewer_than_ten_unknown_frames_and_harmless_ones_change_nothing(rng):
    classes = gallery(rng, 4)
    before = thresholds(classes).sure
    near = np.repeat(classes["0"].embeddings[:1], MIN_UNKNOWN, axis=0)
    np.testing.assert_array_equal(thresholds(classes, unknown=near[1:]).sure, before)
    assert (thresholds(classes, unknown=near).sure > before).all()
    np.testing.assert_array_equal(thresholds(classes, unknown=-near).sure, before)


def test_no_threshold_exceeds_the_cap(rng):
    classes = gallery(rng, 4, spread=0.02)
    near = np.repeat(classes["0"].embeddings[:1], MIN_UNKNOWN, axis=0)
    assert thresholds(classes, unknown=near).sure.max() <= np.float32(TABLE["cap"])
    assert thresholds(classes, unknown=near, table={**TABLE, "cap": 2.0}).sure.max() > TABLE["cap"]


# -- "maybe" and the edges


@pytest.mark.parametrize(("rate", "maybe"), [(0.05, 0.1), (0.1, 0.2), (0.3, MAX_MAYBE), (0.4, 0.4)])
def test_maybe_ends_where_twice_the_asked_share_would_be_accepted(rng, rate, maybe):
    classes = gallery(rng, 3, spread=0.3)
    asked = thresholds(classes, rate)
    looser = thresholds(classes, maybe)
    np.testing.assert_allclose(asked.sure + asked.maybe, looser.sure, atol=1e-6)
    assert asked.maybe <= 0


def test_a_closed_set_and_an_empty_gallery_have_no_thresholds(rng):
    assert thresholds(gallery(rng, 3), rate=None) is None
    assert thresholds({}) is None


def test_without_a_table_the_classes_of_the_gallery_show_how_strangers_score(rng):
    assert normal_base(Strangers(0.0, 0.0, 0), 0.05) == -np.inf
    assert normal_base(Strangers(0.2, 0.1, 9), 0.05) == pytest.approx(0.3)
    assert np.isneginf(thresholds(gallery(rng, 1), table=None).sure).all()
    classes = gallery(rng, 8, spread=0.1)
    strict, loose = (thresholds(classes, rate, table=None).sure for rate in (0.01, 0.1))
    assert (strict >= loose).all()
    assert np.isfinite(strict).all()
    strangers = unit(rng.standard_normal((400, DIM)))
    accepted = (prototypes_of(classes).class_scores(strangers) >= loose).any(axis=1)
    assert accepted.mean() < 0.2


def test_the_euclidean_metric_asks_for_a_distance(rng):
    classes = {label: replace(one, embeddings=5 * one.embeddings) for label, one in gallery(rng, 6).items()}
    cohort = 5 * unit(rng.standard_normal((20, DIM)))
    asked = thresholds(classes, table=None, cohort=cohort, metric="euclidean")
    assert (asked.sure < 0).all()
    assert not asked.twins
    own = prototypes_of(classes, "euclidean").class_scores(np.concatenate([c.embeddings for c in classes.values()]))
    assert (own.max(axis=1) >= asked.sure.max()).mean() > 0.9


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan"), "often"])
def test_a_rate_outside_0_to_1_is_refused(rate):
    with pytest.raises(OptionError, match=r"0\.\.1"):
        Acceptance(TABLE, NONE, "cosine", rate)


def test_whatever_was_done_before_a_gallery_asks_for_the_same_to_the_bit(rng):
    classes = gallery(rng, 6, spread=0.05)
    again = shots("again", pictures(rng, unit(classes["2"].embeddings.mean(axis=0)), 5, 0.05))
    third = shots("third", pictures(rng, unit(classes["2"].embeddings.mean(axis=0)), 5, 0.05))
    fewer = {label: one for label, one in classes.items() if label != "2"}
    cohort = unit(rng.standard_normal((16, DIM)))
    rule, prototypes = Acceptance(TABLE, cohort, "cosine", 0.05), prototypes_of({})
    more = {"again": again, **classes, "third": third}
    for some in (classes, {**classes, "again": again}, more, fewer, {**fewer, "again": again}, classes):
        prototypes = prototypes.update(some)
        got, expected = rule.thresholds(prototypes, NONE), thresholds(some, cohort=cohort)
        assert got.sure.tobytes() == expected.sure.tobytes()
        assert got.maybe == expected.maybe
        assert {row: set(twins) for row, twins in got.twins.items()} == {
            row: set(twins) for row, twins in expected.twins.items()
        }
