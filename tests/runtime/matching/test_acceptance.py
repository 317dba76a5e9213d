"""The rate that is asked for is kept by what the gallery itself shows of strangers, or it says what is missing."""

from dataclasses import replace

import numpy as np
import pytest

from runtime.gallery import ClassShots
from runtime.matching.acceptance import Pressure, soft_maxima
from runtime.matching.calibration import Prior
from runtime.matching.gallery_matcher import Matchers
from runtime.matching.matcher import ACCEPTED
from runtime.matching.quantile import upper_level

DIM = 24
NONE = np.zeros((0, DIM), np.float32)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def pictures(rng, centre, n, spread=0.9):
    return unit(centre + spread * rng.standard_normal((n, DIM)) / np.sqrt(DIM) * 2)


def shots(label, rows, negatives=NONE, first=0):
    ids = np.arange(first, first + len(rows))
    return ClassShots(label, ids, rows, tuple(map(str, ids)), np.ones(len(rows), np.float32), negatives)


def taught(rng, n_classes, n_shot=5):
    centres = unit(rng.standard_normal((n_classes, DIM)))
    return {str(i): shots(str(i), pictures(rng, c, n_shot), first=100 * i) for i, c in enumerate(centres)}


def matcher_of(gallery, rate=0.05, bank=NONE, passive=NONE, head="mean"):
    matchers = Matchers("cosine", DIM, NONE, prior=Prior(None, rate), choice=head, scale=1.0)
    return matchers.matcher(gallery, (bank, passive))


@pytest.mark.parametrize("rate", [0.05, 0.2])
@pytest.mark.parametrize(("n_classes", "head"), [(6, "mean"), (20, "mean"), (6, "lda"), (20, "lda")])
def test_strangers_from_the_same_world_are_accepted_at_the_rate_asked_for(rate, n_classes, head):
    rng = np.random.default_rng(0)
    accepted = []
    for _ in range(60):
        matcher = matcher_of(taught(rng, n_classes), rate, head=head)
        strangers = [z for _ in range(20) for z in pictures(rng, unit(rng.standard_normal(DIM)), 2)]
        accepted.append(np.mean([matcher.decide(z).check == ACCEPTED for z in strangers]))
    assert np.mean(accepted) == pytest.approx(rate, abs=rate / 2)


def test_a_frame_that_looks_like_other_things_too_must_score_higher():
    pressure = Pressure(temperature=0.1, weight=0.5, usual=0.2)
    alone, pressed = np.array([-np.inf, 0.1, 0.0], np.float32), np.array([-np.inf, 0.6, 0.0], np.float32)
    assert pressure.cost(pressed) > 0.1 > 0 > pressure.cost(alone)
    np.testing.assert_allclose(
        pressure.costs(soft_maxima(np.stack([alone, pressed]), 0.1)), [pressure.cost(alone), pressure.cost(pressed)]
    )
    assert pressure.cost(np.array([-np.inf], np.float32)) == 0  # nothing else is known


def test_without_a_table_and_with_too_few_classes_nothing_is_demanded():
    assert np.isneginf(matcher_of(taught(np.random.default_rng(0), 2)).acceptance.levels).all()


def test_few_views_say_how_many_are_missing_for_a_promise():
    rng = np.random.default_rng(0)
    few, many = (matcher_of(taught(rng, n)).acceptance for n in (3, 6))
    assert few.views_needed(0, 0.05) == 9  # 10 views of two other things; 1 / (19 + 1) is the first 5 %
    assert few.views_needed(0, 0.2) == 0
    assert many.views_needed(0, 0.05) == 0
    assert matcher_of(taught(rng, 2)).acceptance.views_needed(0, 0.05) == 19


def test_strangers_of_this_place_raise_what_is_demanded():
    rng = np.random.default_rng(0)
    gallery = taught(rng, 6)
    strange = unit(rng.standard_normal(DIM) * 0.3 + next(iter(gallery.values())).embeddings.mean(axis=0) * 3)
    near = pictures(rng, strange, 40, spread=0.1)
    before, after = matcher_of(gallery), matcher_of(gallery, bank=near)
    assert (after.acceptance.levels > before.acceptance.levels).all()
    assert after.acceptance.samples == 40


def test_where_there_is_room_to_spare_the_twin_of_a_class_is_unknown_and_its_own_frames_are_not():
    rng = np.random.default_rng(0)
    centres = unit(rng.standard_normal((6, DIM)))
    gallery = {str(i): shots(str(i), pictures(rng, c, 5, spread=0.15), first=100 * i) for i, c in enumerate(centres)}
    twin = pictures(rng, unit(centres[0] + 0.8 * unit(rng.standard_normal(DIM))), 20, spread=0.15)
    own = pictures(rng, centres[0], 60, spread=0.15)
    varied = matcher_of(gallery)
    assert not any(varied.decide(z).check == ACCEPTED for z in twin)
    assert np.mean([varied.decide(z).check == ACCEPTED for z in own]) > 0.85
    one_second = {label: replace(known, bursts=(label,) * 5) for label, known in gallery.items()}
    within = Prior({"within_variance": 1.0, "impostor": {"1": [0.0, 0.1]}}, 0.05)  # worth one view each
    demanded = Matchers("cosine", DIM, NONE, prior=within, choice="mean", scale=1.0).matcher(one_second).acceptance
    assert (demanded.levels < varied.acceptance.levels).all()  # frames of one second say little about tomorrow's


def test_what_was_sampled_and_taught_since_is_no_stranger():
    rng = np.random.default_rng(0)
    gallery = taught(rng, 6)
    first = next(iter(gallery.values())).embeddings
    same = pictures(rng, first.mean(axis=0) * 2, 20, spread=0.1)
    others = pictures(rng, unit(rng.standard_normal(DIM)), 20)
    assert matcher_of(gallery, passive=same).acceptance.samples == 0
    assert matcher_of(gallery, passive=others).acceptance.samples >= 15  # some do look alike
    assert matcher_of(gallery, bank=same).acceptance.samples == 20  # a person said so


def test_a_rejected_frame_counts_as_a_stranger_unless_it_looks_like_another_class():
    gallery = taught(np.random.default_rng(0), 6)
    first, second = list(gallery.values())[:2]
    for like, count, samples in ((first, 12, 12), (second, 12, 0), (first, 3, 0)):  # a few do not move every level
        negatives = np.repeat(like.embeddings[:1], count, axis=0)
        marked = {**gallery, first.label: shots(first.label, first.embeddings, negatives=negatives)}
        assert matcher_of(marked).acceptance.samples == samples


def test_alike_strangers_of_few_classes_are_fewer_than_they_seem():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(6), 5)
    independent = rng.standard_normal(30)
    alike = rng.standard_normal(6)[groups] + 0.01 * rng.standard_normal(30)
    plain, further = (upper_level(values, groups, 0.95) for values in (independent, alike))
    assert plain < 1.25 * np.sort(independent)[-2:].mean()
    assert further > alike.max() * 1.1
