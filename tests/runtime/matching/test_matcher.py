"""Each check of a match fires, and only when it must."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.gallery import ClassShots
from runtime.matching.acceptance import Acceptance, Thresholds
from runtime.matching.matcher import ACCEPTED, EMPTY, N_NEAREST, Matcher, recognition_of
from runtime.matching.prototypes import Prototypes, class_mean, similarity, view_weights


def at(degrees):
    return np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))], np.float32)


def gallery(metric="cosine", negatives=(), **classes):
    """Classes of unit vectors in the plane, each given as the angles of its shots; negatives: of every class."""
    rows = np.array([at(a) for a in negatives], np.float32).reshape(-1, 2)

    def shots(label, angles):
        n = len(angles)
        embeddings = np.array([at(a) for a in angles])
        return ClassShots(label, np.arange(n), embeddings, ("b",) * n, np.ones(n, np.float32), rows)

    return Prototypes(metric, 2).update({label: shots(label, angles) for label, angles in classes.items()})


def asked(prototypes, sure=0.8, maybe=-0.1, twins=None):
    """Thresholds that are the same for all classes, or one for each."""
    return Thresholds(np.broadcast_to(np.float32(sure), len(prototypes.classes)), maybe, twins or {})


def decide(prototypes, embedding, thresholds=None):
    return Matcher(prototypes, thresholds).decide(embedding)


def text(prototypes, match):
    return recognition_of(match, prototypes, {}, np.zeros(2, np.float32)).text


def test_an_empty_gallery_accepts_nothing():
    assert decide(gallery(), at(0)) is EMPTY
    assert (EMPTY.check, EMPTY.certainty) == ("empty gallery", "unknown")
    answer = recognition_of(EMPTY, gallery(), {}, at(0))
    assert (answer.label, answer.candidate, answer.text, answer.nearest) == (None, None, "unknown", ())


def test_a_clear_match_is_accepted_with_everything_it_was_decided_by():
    two = gallery(mug=[0, 4], cup=[90])
    match = decide(two, at(1), asked(two))
    assert (match.row, match.certainty, match.check, match.runner_up) == (0, "sure", ACCEPTED, 1)
    score = 0.5 * (math.cos(math.radians(1)) + math.cos(math.radians(1)))  # prototype at 2°, nearest shot at 0°
    assert match.score == pytest.approx(score, abs=1e-6)
    assert match.margin == pytest.approx(match.score - math.cos(math.radians(89)), abs=1e-6)
    assert match.threshold == pytest.approx(0.8)
    assert [row for row, _ in match.nearest] == [0, 1]
    assert match.nearest[0][1] == pytest.approx(math.cos(math.radians(1)), abs=1e-6)
    answer = recognition_of(match, two, {}, at(1))
    assert (answer.label, answer.candidate, answer.runner_up, answer.text) == ("mug", "mug", "cup", "mug")
    assert not answer.embedding.flags.writeable


@pytest.mark.parametrize(
    ("score", "certainty", "check", "shown"),
    [(0.81, "sure", ACCEPTED, "mug"), (0.79, "maybe", "score", "mug?"), (0.69, "unknown", "score", "unknown")],
)
def test_the_score_decides_between_sure_maybe_and_unknown(score, certainty, check, shown):
    one = gallery(mug=[0])
    match = decide(one, at(math.degrees(math.acos(score))), asked(one))
    assert (match.certainty, match.check, text(one, match)) == (certainty, check, shown)
    answer = recognition_of(match, one, {}, at(0))
    assert answer.candidate == "mug"
    assert answer.label == ("mug" if certainty == "sure" else None)


def test_the_best_class_is_the_one_farthest_above_its_own_threshold():
    two = gallery(mug=[0], cup=[40])
    middle = asked(two, sure=[0.9, 0.9])
    assert decide(two, at(19), middle).row == 0
    assert decide(two, at(19), asked(two, sure=[0.9, 0.8])).row == 1
    assert decide(two, at(19), asked(two, sure=[0.9, 0.8])).threshold == pytest.approx(0.8)


def test_a_negative_fires_only_when_it_is_nearer_than_every_shot():
    taught = gallery(mug=[0, 10], negatives=[20])
    assert decide(taught, at(19), asked(taught)).check == "not this"
    assert decide(taught, at(15), asked(taught)).check == "not this"  # a draw counts as rejected
    assert decide(taught, at(15), asked(taught)).certainty == "unknown"
    assert decide(taught, at(14), asked(taught)).check == ACCEPTED
    assert decide(taught, at(2), asked(taught)).check == ACCEPTED
    assert decide(taught, at(90), asked(taught)).check == "score"
    assert decide(taught, at(19)).check == ACCEPTED  # a closed set always names the nearest


def test_an_answer_that_fits_both_twins_is_maybe_and_other_classes_keep_their_answers():
    four = gallery(mug=[0], beaker=[3], cup=[90], box=[180])
    thresholds = asked(four, twins={0: (1,), 1: (0,)})
    both = decide(four, at(0), thresholds)
    assert (both.certainty, both.check, text(four, both)) == ("maybe", "twin", "mug or beaker?")
    assert text(four, decide(four, at(4), thresholds)) == "beaker or mug?"
    assert text(four, decide(four, at(90), thresholds)) == "cup"
    assert text(four, decide(four, at(180), thresholds)) == "box"
    assert text(four, decide(four, at(0), asked(four))) == "mug"  # only twins share an answer
    strict = asked(four, sure=[0.99, 2.0, 0.8, 0.8], twins={0: (1,), 1: (0,)})
    assert text(four, decide(four, at(0), strict)) == "mug"  # the other one does not fit


@pytest.mark.parametrize("spread", [0.02, 0.06])
def test_one_thing_under_two_names_in_a_gallery_of_four_is_either_of_the_two(spread):
    rng = np.random.default_rng(0)
    centres = unit(rng.standard_normal((3, 24)))
    table = {
        "version": 2, "things": 9, "rates": [0.05, 0.4], "sizes": [1, 10], "mean": [0.0, 0.2],
        "excess": [[0.5, 0.1], [0.3, -0.1]], "cap": 0.95, "twin": 0.8,
    }  # fmt: skip

    def shown(i, n):
        return unit(centres[i] + spread * rng.standard_normal((n, 24)))

    names = {"mug": 0, "beaker": 0, "cup": 1, "box": 2}
    none = np.zeros((0, 24), np.float32)
    classes = {
        label: ClassShots(label, np.arange(5), shown(i, 5), tuple("abcde"), np.ones(5, np.float32), none)
        for label, i in names.items()
    }
    prototypes = Prototypes("cosine", 24).update(classes)
    matcher = Matcher(prototypes, Acceptance(table, none, "cosine", 0.05).thresholds(prototypes, none))
    for i, expected in ((0, {"mug or beaker?", "beaker or mug?"}), (1, {"cup", "cup?"}), (2, {"box", "box?"})):
        answers = {recognition_of(matcher.decide(z), prototypes, {}, z).text for z in shown(i, 20)}
        assert answers <= expected


def test_a_single_class_has_no_runner_up_and_an_infinite_margin():
    one = gallery(mug=[0])
    match = decide(one, at(3), asked(one))
    assert (match.check, match.runner_up, match.margin) == (ACCEPTED, -1, math.inf)


def test_at_most_a_few_nearest_shots_are_given_nearest_first():
    match = decide(gallery(mug=range(0, 40, 4)), at(21))
    assert len(match.nearest) == N_NEAREST
    assert {row for row, _ in match.nearest} == {4, 5, 6}
    scores = [score for _, score in match.nearest]
    assert scores == sorted(scores, reverse=True)


def test_a_closed_set_never_answers_unknown():
    far = decide(gallery(mug=[0], cup=[10]), at(180))
    assert (far.certainty, far.check, far.threshold, far.row) == ("sure", ACCEPTED, -math.inf, 1)


def test_classes_that_ask_for_nothing_are_compared_by_their_scores():
    two = gallery(mug=[0], cup=[90])
    nothing = asked(two, sure=-np.inf, maybe=0.0)
    for angle, row in ((10, 0), (80, 1), (200, 1)):
        match = decide(two, at(angle), nothing)
        assert (match.row, match.certainty, match.threshold) == (row, "sure", -math.inf)
        assert match.score == pytest.approx(decide(two, at(angle)).score)
        assert math.isfinite(match.margin)
    marked = gallery(mug=[0], negatives=[20])
    assert decide(marked, at(19), asked(marked, sure=-np.inf, maybe=0.0)).check == "not this"


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_both_metrics_decide_alike_on_the_unit_sphere(metric):
    two = gallery(metric, mug=[0, 6], cup=[80])
    assert decide(two, at(2)).row == 0
    assert decide(two, at(79)).row == 1
    sure = {"cosine": 0.9, "euclidean": -0.4}[metric]
    assert decide(two, at(5), asked(two, sure)).certainty == "sure"
    assert decide(two, at(41), asked(two, sure, -0.01)).certainty == "unknown"


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_thousand_classes_of_ten_shots_are_answered_as_one_class_after_the_other_would_be(metric):
    rng = np.random.default_rng(0)
    centres = unit(rng.standard_normal((1000, 32)))
    rows = unit(centres[:, None] + 0.12 * rng.standard_normal((1000, 10, 32)))
    none, ones = np.zeros((0, 32), np.float32), np.ones(10, np.float32)
    classes = {
        f"c{i}": ClassShots(f"c{i}", np.arange(10) + 10 * i, rows[i], ("a",) * 5 + ("b",) * 5, ones, none)
        for i in range(1000)
    }
    prototypes = Prototypes(metric, 32).update(classes)
    cohort = unit(rng.standard_normal((50, 32)))
    thresholds = Acceptance(None, cohort, metric, 0.05).thresholds(prototypes, none)
    matcher = Matcher(prototypes, thresholds)
    means = [class_mean(one, metric, view_weights(one, metric)) for one in rows]
    queries = [*unit(centres[:20] + 0.12 * rng.standard_normal((20, 32))), *unit(rng.standard_normal((20, 32)))]
    for z in queries:
        scores = np.array(
            [
                0.5 * (similarity(mean[None], z, metric)[0] + similarity(one, z, metric).max())
                for mean, one in zip(means, rows, strict=True)
            ]
        )
        leads = scores - thresholds.sure
        match = matcher.decide(z)
        assert match.row == leads.argmax()
        assert match.score == pytest.approx(scores[match.row], abs=1e-5)
        best = leads.max()
        assert match.certainty == ("sure" if best >= 0 else "maybe" if best >= thresholds.maybe else "unknown")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_nothing_but_the_documented_infinities_comes_out(data):
    metric = data.draw(st.sampled_from(["cosine", "euclidean"]))
    angles = st.lists(st.integers(0, 359), min_size=1, max_size=4)
    classes = data.draw(st.dictionaries(st.sampled_from("abcd"), angles, min_size=1))
    prototypes = gallery(metric, data.draw(angles), **classes)
    rate = data.draw(st.sampled_from([None, 0.0, 0.05, 0.5, 1.0]))
    none = np.zeros((0, 2), np.float32)
    thresholds = Acceptance(None, none, metric, rate).thresholds(prototypes, none)
    match = decide(prototypes, at(data.draw(st.integers(0, 359))), thresholds)
    assert match.check in (ACCEPTED, "score", "twin", "not this")
    assert math.isfinite(match.score)
    assert all(math.isfinite(score) for _, score in match.nearest)
    assert not math.isnan(match.threshold)
    assert math.isfinite(match.margin) == (len(classes) > 1)
    assert match.margin >= 0
