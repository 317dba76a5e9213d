"""The table and the cohort of a bundle, made from things that no gallery will hold."""

import numpy as np
import pytest

from exporters.errors import ExportError
from exporters.verify.calibration import (
    COHORT_FRAMES,
    RATES,
    calibrate,
    thing_of_clip,
    things_of_photos,
)
from runtime.gallery import ClassShots
from runtime.matching.acceptance import Acceptance
from runtime.matching.prototypes import Prototypes

DIM = 24


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def photographs(rng, n_kinds, n_each, spread=0.2):
    centres = unit(rng.standard_normal((n_kinds, DIM)))
    rows = unit(centres[:, None] + spread * rng.standard_normal((n_kinds, n_each, DIM)))
    return rows.reshape(-1, DIM), [f"kind {i}" for i in range(n_kinds) for _ in range(n_each)]


def photo_things(n_kinds=40, n_each=12, seed=0):
    embeddings, kinds = photographs(np.random.default_rng(seed), n_kinds, n_each)
    return things_of_photos(embeddings, kinds, ["photos"] * len(kinds))


def clip_things(n=8, seed=1):
    rng = np.random.default_rng(seed)
    times_s = np.arange(60) / 10
    clips = [unit(unit(rng.standard_normal(DIM)) + 0.1 * rng.standard_normal((60, DIM))) for _ in range(n)]
    return [thing_of_clip(f"clip {i}", rows, times_s) for i, rows in enumerate(clips)]


@pytest.fixture(scope="module")
def calibration():
    return calibrate(photo_things(), metric="cosine")


def test_a_clip_is_taught_from_its_start_and_looked_at_again_later():
    rows = np.eye(60, DIM, dtype=np.float32)
    times_s = np.arange(60) / 10
    thing = thing_of_clip("mug", rows, times_s)
    assert [len(burst) for (burst,) in thing.enrolments] == [6, 16, 31]  # 0.5, 1.5 and 3 seconds, each one burst
    assert [len(later) for later in thing.later] == [44, 34, 19]  # from a second after the enrolment
    assert (thing.group, len(thing.probes), len(thing.cohort)) == ("mug", 15, COHORT_FRAMES)
    short = thing_of_clip("cup", rows[:12], times_s[:12])
    assert [len(burst) for (burst,) in short.enrolments] == [6]


def test_photographs_of_a_kind_are_a_thing_whose_probes_were_not_taught():
    rng = np.random.default_rng(0)
    embeddings, kinds = photographs(rng, 3, 12)
    things = things_of_photos(embeddings[:-8], kinds[:-8], ["photos"] * 28)
    assert [thing.group for thing in things] == ["photos/kind 0", "photos/kind 1"]  # four photographs are too few
    for thing in things:
        assert [len(enrolment) for enrolment in thing.enrolments] == [1, 3, 5]
        taught = np.concatenate(thing.enrolments[-1])
        assert not (thing.probes[:, None] == taught[None]).all(axis=-1).any()
        assert len(thing.probes) == 6
        assert thing.cohort.shape == (1, DIM)
    again = things_of_photos(embeddings[:-8], kinds[:-8], ["photos"] * 28)
    np.testing.assert_array_equal(again[0].probes, things[0].probes)


def test_kinds_of_the_same_name_in_two_data_sets_are_two_things():
    embeddings, kinds = photographs(np.random.default_rng(0), 2, 8)
    things = things_of_photos(embeddings, ["apple"] * 16, ["a"] * 8 + ["b"] * 8)
    assert [(thing.domain, thing.group) for thing in things] == [("a", "a/apple"), ("b", "b/apple")]
    assert len(kinds) == 16


def test_the_table_has_a_row_for_each_size_that_there_are_things_for(calibration):
    table = calibration.table
    assert (table["version"], table["things"]) == (2, 40)
    assert table["sizes"] == [1, 2, 3, 5, 10, 20]  # 40 things are too few for galleries of 40 and strangers
    assert table["rates"] == list(RATES)
    assert np.shape(table["excess"]) == (6, len(RATES))
    assert (np.diff(table["excess"], axis=1) <= 0).all()  # more strangers pass at a lower score
    assert 0.5 < table["cap"] <= 1
    assert 0.5 < table["twin"] <= 1
    assert calibration.cohort.shape == (40, DIM)


def test_the_rule_that_reads_the_table_keeps_the_rate_on_things_it_never_saw(calibration):
    rng = np.random.default_rng(7)
    accepted, known = [], []
    for _ in range(40):
        rows, _ = photographs(rng, 25, 9)
        rows = rows.reshape(25, 9, DIM)
        none = np.zeros((0, DIM), np.float32)
        classes = {
            str(i): ClassShots(str(i), np.arange(3), rows[i, :3], tuple("abc"), np.ones(3, np.float32), none)
            for i in range(5)
        }
        prototypes = Prototypes("cosine", DIM).update(classes)
        asked = Acceptance(calibration.table, calibration.cohort, "cosine", 0.1).thresholds(prototypes, none).sure
        strangers, taught = rows[5:].reshape(-1, DIM), rows[:5, 3:].reshape(-1, DIM)
        accepted.append((prototypes.class_scores(strangers) >= asked).any(axis=1).mean())
        known.append((prototypes.class_scores(taught) >= asked).any(axis=1).mean())
    assert np.mean(accepted) == pytest.approx(0.1, abs=0.05)
    assert np.mean(known) > 2 * np.mean(accepted)


def test_the_same_things_give_the_same_table(calibration):
    again = calibrate(photo_things(), metric="cosine")
    assert again.table == calibration.table
    np.testing.assert_array_equal(again.cohort, calibration.cohort)


def test_clips_and_photographs_are_calibrated_together():
    both = calibrate([*photo_things(12), *clip_things()], metric="cosine")
    assert both.table["things"] == 20
    assert len(both.cohort) == 12 + 8 * COHORT_FRAMES
    assert np.isfinite(both.table["excess"]).all()


@pytest.mark.parametrize("n", [4, 8])
def test_few_things_give_a_table_of_finite_scores(n):
    table = calibrate(photo_things(n), metric="cosine").table
    assert (table["things"], table["sizes"][:2]) == (n, [1, 2])
    assert np.isfinite([*table["mean"], table["cap"], table["twin"]]).all()
    assert np.isfinite(table["excess"]).all()


def test_the_table_of_a_euclidean_model_is_of_distances():
    table = calibrate(photo_things(12), metric="euclidean").table
    assert table["cap"] < 0
    assert table["twin"] < 0
    assert np.isfinite(table["excess"]).all()


@pytest.mark.parametrize("n", [0, 1, 3])
def test_fewer_than_four_things_are_too_few_for_a_table(n):
    things = photo_things(n) if n else []
    with pytest.raises(ExportError, match=f"at least four different things of one domain, but got {n} things"):
        calibrate(things, metric="cosine")


def test_clips_of_one_thing_are_one_thing():
    clips = clip_things(6)
    same = [thing_of_clip("mug", clip.probes, np.arange(len(clip.probes)) / 5) for clip in clips]
    with pytest.raises(ExportError, match="four different things"):
        calibrate(same, metric="cosine")
