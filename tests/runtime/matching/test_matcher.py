"""Each check of a match fires, and only when it must."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.gallery import ClassShots
from runtime.matching.acceptance import MAX_DISTANCE_RATIO, Acceptance, Pressure
from runtime.matching.calibration import Prior
from runtime.matching.head_choice import HeadChooser
from runtime.matching.matcher import ACCEPTED, EMPTY, N_NEAREST, Matcher
from runtime.matching.prototypes import Prototypes

# 5 % of strangers score over 0.55 against one shot and over 0.75 against five
TABLE = {"genuine": {"1": [0, 1]}, "impostor": {"1": [0, 0.55, 0.6], "5": [0.1, 0.75, 0.8]}}
HALF = Prior(TABLE, 0.5)


def at(degrees):
    return np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))], np.float32)


def gallery(metric="cosine", negatives=(), **classes):
    """Classes of unit vectors in the plane, each given as the angles of its shots; negatives: of every class."""
    rows = np.array([at(a) for a in negatives], np.float32).reshape(-1, 2)

    def shots(label, angles):
        n = len(angles)
        return ClassShots(
            label, np.arange(n), np.array([at(a) for a in angles]), ("b",) * n, np.ones(n, np.float32), rows
        )

    return Prototypes(metric, 2).update({label: shots(label, angles) for label, angles in classes.items()})


def decide(prototypes, embedding, prior):
    """Match by the table alone: no pressure, nothing learnt from the gallery."""
    if not prototypes.classes:
        return Matcher(prototypes, None, None).decide(embedding)
    demands = None
    if prior:
        views = tuple(prior.views(len(p.shots.ids), p.spread) for p in prototypes.classes)
        levels = np.array([prior.threshold(n) for n in views])
        demands = Acceptance(levels, Pressure(0.1, 0.0, 0.0), prior.nearest_threshold(), views, 0)
    head = HeadChooser("mean", 2, 1.0, np.zeros((0, 2), np.float32)).head(prototypes)
    return Matcher(prototypes, head, demands).decide(embedding)


def test_an_empty_gallery_knows_nobody():
    for prior in (HALF, None):
        assert decide(gallery(), at(0), prior) is EMPTY
    assert EMPTY.check == "empty gallery"


def test_a_clear_match_is_accepted_with_everything_it_was_decided_by():
    match = decide(gallery(mug=[0, 4], cup=[90]), at(1), HALF)
    assert (match.row, match.check, match.runner_up) == (0, ACCEPTED, 1)
    assert match.score == pytest.approx(math.cos(math.radians(1)), abs=1e-6)
    assert match.margin == pytest.approx(match.score - math.cos(math.radians(89)), abs=1e-6)
    assert match.threshold == pytest.approx(HALF.threshold(2))
    assert [row for row, _ in match.nearest] == [0, 1]
    assert match.nearest[0][1] == pytest.approx(math.cos(math.radians(1)), abs=1e-6)


def test_the_score_check_fires_just_below_the_threshold():
    limit = math.degrees(math.acos(0.55))
    one = gallery(mug=[0])
    assert decide(one, at(limit - 0.1), HALF).check == ACCEPTED
    assert decide(one, at(limit + 0.1), HALF).check == "score"


def test_more_shots_demand_the_threshold_of_their_row():
    one, five = gallery(mug=[0]), gallery(mug=[0] * 5)
    between = math.degrees(math.acos(0.65))
    assert decide(one, at(between), HALF).check == ACCEPTED
    assert decide(five, at(between), HALF).check == "score"


def test_the_margin_check_fires_when_two_classes_are_about_as_near():
    two = gallery(mug=[0], cup=[20])
    assert decide(two, at(9.9), HALF).check == "margin"
    assert decide(two, at(8), HALF).check == ACCEPTED
    ratio = (1 - math.cos(math.radians(8))) / (1 - math.cos(math.radians(12)))
    assert ratio < MAX_DISTANCE_RATIO


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("angle", [0, 10, 37, 45, 60])
def test_two_classes_of_the_same_thing_cannot_be_told_apart(metric, angle):
    same = gallery(metric, mug=[angle], cup=[angle], other=[180])
    prior = Prior(None)
    for query in (at(angle), at(angle + 5), at(angle) * np.float32(1 + 1e-7)):  # a cosine may round to over 1
        assert decide(same, query, prior).check == "margin"


def test_the_nearest_shot_check_fires_when_no_single_shot_is_near():
    wide = gallery(mug=[-60, 60])  # the mean points to where nothing was ever shown
    prior = Prior({"impostor": {"1": TABLE["impostor"]["1"]}}, 0.12)
    assert prior.nearest_threshold() < prior.threshold(1)  # one photograph need not fit as well as the mean
    assert decide(wide, at(0), prior).check == "nearest shot"
    assert decide(wide, at(53), prior).check == ACCEPTED


def test_a_negative_fires_only_when_it_is_nearer_than_every_shot():
    taught = gallery(mug=[0, 10], negatives=[20])
    assert decide(taught, at(19), HALF).check == "not this"
    assert decide(taught, at(15), HALF).check == "not this"  # a draw is no yes
    assert decide(taught, at(14), HALF).check == ACCEPTED
    assert decide(taught, at(2), HALF).check == ACCEPTED
    assert decide(taught, at(19), None).check == ACCEPTED  # a closed set takes the nearest, always


def test_a_single_class_has_no_runner_up_and_an_infinite_margin():
    match = decide(gallery(mug=[0]), at(3), HALF)
    assert (match.check, match.runner_up, match.margin) == (ACCEPTED, -1, math.inf)


def test_at_most_a_few_nearest_shots_are_told_nearest_first():
    match = decide(gallery(mug=range(0, 40, 4)), at(21), HALF)
    assert len(match.nearest) == N_NEAREST
    assert {row for row, _ in match.nearest} == {4, 5, 6}
    scores = [score for _, score in match.nearest]
    assert scores == sorted(scores, reverse=True)


def test_a_closed_set_never_says_unknown():
    far = decide(gallery(mug=[0], cup=[10]), at(180), None)
    assert (far.check, far.threshold) == (ACCEPTED, -math.inf)


def test_without_a_table_only_the_comparisons_are_made():
    lone = Prior(None)
    assert lone.threshold(1) == -math.inf
    assert decide(gallery(mug=[0], cup=[170]), at(60), lone).check == ACCEPTED
    assert decide(gallery(mug=[0], cup=[100]), at(50), lone).check == "margin"


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_both_metrics_decide_alike_on_the_unit_sphere(metric):
    two = gallery(metric, mug=[0, 6], cup=[80])
    assert decide(two, at(2), Prior(None)).row == 0
    assert decide(two, at(79), Prior(None)).row == 1
    assert decide(two, at(41.5), Prior(None)).check == "margin"


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_nothing_but_the_documented_infinities_comes_out(data):
    metric = data.draw(st.sampled_from(["cosine", "euclidean"]))
    angles = st.lists(st.integers(0, 359), min_size=1, max_size=4)
    classes = data.draw(st.dictionaries(st.sampled_from("abcd"), angles, min_size=1))
    prior = data.draw(st.sampled_from([None, HALF, Prior(None), Prior(TABLE, 0), Prior(TABLE, 1)]))
    match = decide(gallery(metric, data.draw(angles), **classes), at(data.draw(st.integers(0, 359))), prior)
    assert match.check in (ACCEPTED, "score", "margin", "nearest shot", "not this")
    assert math.isfinite(match.score)
    assert all(math.isfinite(score) for _, score in match.nearest)
    assert not math.isnan(match.threshold)
    assert math.isfinite(match.margin) == (len(classes) > 1)
    assert match.margin >= 0
