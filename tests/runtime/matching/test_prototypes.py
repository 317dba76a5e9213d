"""Prototypes are a function of the shots alone: however a gallery came about, the same shots give the same bits."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.gallery import ClassShots, NewShot, open_gallery
from runtime.matching.prototypes import (
    EXACT,
    MIN_BURSTS,
    Prototypes,
    Rows,
    class_mean,
    pair_similarity,
    prototype,
    similarity,
    view_weights,
)

METRICS = ("cosine", "euclidean")


def unit(rng, *shape):
    rows = rng.standard_normal(shape).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def shots(label, embeddings):
    n, dim = embeddings.shape
    return ClassShots(
        label, np.arange(n), embeddings, ("b",) * n, np.ones(n, np.float32), np.zeros((0, dim), np.float32)
    )


def gallery_of(n_classes, dim=16, n=5, seed=0):
    rng = np.random.default_rng(seed)
    return {f"c{i}": shots(f"c{i}", unit(rng, n, dim)) for i in range(n_classes)}


def test_the_mean_of_unit_vectors_is_put_back_on_the_sphere():
    embeddings = unit(np.random.default_rng(0), 7, 16)
    mean = embeddings.astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(class_mean(embeddings, "cosine"), mean / np.linalg.norm(mean), rtol=1e-6)
    np.testing.assert_allclose(class_mean(embeddings, "euclidean"), mean, rtol=1e-6)
    for metric in METRICS:
        assert class_mean(embeddings, metric).dtype == np.float32
        np.testing.assert_allclose(class_mean(embeddings[:1], metric), embeddings[0], atol=1e-7)
    opposite = np.stack([embeddings[0], -embeddings[0]])
    assert np.isfinite(class_mean(opposite, "cosine")).all()  # a class of opposites has no direction, but is no NaN


def test_scores_are_cosines_or_minus_distances():
    rng = np.random.default_rng(0)
    rows, x = unit(rng, 5, 16), unit(rng, 16)
    np.testing.assert_allclose(similarity(rows, x, "cosine"), [row @ x for row in rows], rtol=1e-5)
    distances = [np.sqrt(((row - x) ** 2).sum()) for row in rows]
    np.testing.assert_allclose(similarity(rows, x, "euclidean"), [-d for d in distances], rtol=1e-5)
    assert similarity(rows, rows[2], "euclidean")[2] == 0


@pytest.mark.parametrize("metric", METRICS)
def test_frames_that_are_almost_identical_count_as_one_view(metric):
    rng = np.random.default_rng(0)
    photos = unit(rng, 3, 64)
    video = photos[0] + 0.02 * rng.standard_normal((30, 64)).astype(np.float32)
    video /= np.linalg.norm(video, axis=1, keepdims=True)
    both = np.concatenate([photos, video])
    np.testing.assert_allclose(view_weights(both, metric), [1 / 31, 1, 1, *[1 / 31] * 30], rtol=1e-6)
    alone, joint = (prototype(shots("mug", rows), metric) for rows in (photos, both))
    assert (alone.n_views, joint.n_views, prototype(shots("mug", video), metric).n_views) == (3, 3, 1)
    plain = class_mean(both, metric)

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    assert cosine(joint.mean, alone.mean) > 0.99  # where the plain mean is that of the video
    assert cosine(plain, alone.mean) < 0.8


@pytest.mark.parametrize("metric", METRICS)
def test_a_class_scores_half_by_its_prototype_and_half_by_its_nearest_shot(metric):
    classes = gallery_of(7)
    prototypes = Prototypes(metric, 16).update(classes)
    queries = unit(np.random.default_rng(3), 5, 16)
    expected = [
        [
            0.5 * (similarity(p.mean[None], z, metric)[0] + similarity(p.shots.embeddings, z, metric).max())
            for p in prototypes.classes
        ]
        for z in queries
    ]
    np.testing.assert_allclose(prototypes.class_scores(queries), expected, atol=1e-5)
    np.testing.assert_allclose(
        pair_similarity(queries, prototypes.rows.matrix, metric),
        [similarity(prototypes.rows.matrix, z, metric) for z in queries],
        atol=1e-5,
    )


@pytest.mark.parametrize("metric", METRICS)
def test_single_pictures_are_left_out_in_turn_and_frames_of_a_video_are_not(metric):
    rows = unit(np.random.default_rng(0), 5, 16)
    taught = shots("mug", rows)
    assert len(prototype(taught, metric).left_out) == 0  # all of one burst
    photos = replace(taught, bursts=tuple("abcde"))
    expected = []
    for i, row in enumerate(rows):
        others = np.delete(rows, i, axis=0)
        mean = class_mean(others, metric)
        expected.append(0.5 * (similarity(mean[None], row, metric)[0] + similarity(others, row, metric).max()))
    np.testing.assert_allclose(prototype(photos, metric).left_out, expected, atol=1e-5)
    assert len(prototype(replace(taught, bursts=tuple("aabcd")), metric).left_out) == 0
    few = replace(shots("mug", rows[: MIN_BURSTS - 1]), bursts=tuple("ab"))
    assert len(prototype(few, metric).left_out) == 0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n_classes", [1, 2, EXACT, EXACT + 1, 300])
def test_scores_of_a_large_gallery_are_those_of_each_class(metric, n_classes):
    classes = gallery_of(n_classes)
    prototypes = Prototypes(metric, 16).update(classes)
    for x in (
        unit(np.random.default_rng(1), 16),
        prototypes.rows.matrix[0],
        prototypes.rows.matrix[-1] * np.float32(1.0001),
    ):
        scores = Rows(prototypes.rows.matrix, metric).scores(x)
        assert scores.dtype == np.float32
        expected = similarity(prototypes.rows.matrix, x, metric)
        np.testing.assert_allclose(scores, expected, atol=1e-3)
        best = np.argsort(-expected)[: min(EXACT, n_classes)]
        np.testing.assert_allclose(scores[best[:2]], expected[best[:2]], rtol=1e-6)  # those that decide are exact
        assert scores.argmax() == expected.argmax()
        np.testing.assert_allclose(Rows(prototypes.rows.matrix, metric).scores_many(x[None])[0], expected, atol=1e-3)


def test_large_raw_features_keep_their_small_differences():
    base = np.full((40, 64), 300, np.float32)
    base += np.random.default_rng(0).standard_normal((40, 64)).astype(np.float32) * np.float32(0.01)
    rows = Rows(base, "euclidean")
    for i in (0, 17, 39):
        assert rows.scores(base[i]).argmax() == i
        assert rows.scores(base[i])[i] == 0


@pytest.mark.parametrize("metric", METRICS)
def test_an_update_equals_starting_from_scratch_and_touches_only_what_changed(metric, monkeypatch):
    classes = gallery_of(50)
    old = Prototypes(metric, 16).update(classes)
    before = old.rows.matrix.copy()
    changed = dict(classes)
    del changed["c7"]
    changed["c3"] = shots("c3", unit(np.random.default_rng(9), 8, 16))
    changed = {"new": shots("new", unit(np.random.default_rng(8), 2, 16)), **changed}
    scratch = Prototypes(metric, 16).update(changed)
    computed = []
    monkeypatch.setattr(
        "runtime.matching.prototypes.prototype", lambda s, m: computed.append(len(s.ids)) or prototype(s, m)
    )
    new = old.update(changed)
    assert sorted(computed) == [2, 8]
    assert "rows" in vars(new)  # the means of the other classes are taken over
    np.testing.assert_array_equal(new.rows.matrix, scratch.rows.matrix)
    np.testing.assert_array_equal(new.counts, [(len(c.shots.ids), 1, 0) for c in new.classes])
    assert [c.shots.label for c in new.classes] == list(changed)
    np.testing.assert_array_equal(old.rows.matrix, before)  # whoever still reads the old ones sees no change
    assert Prototypes(metric, 16).update({}).rows.matrix.shape == (0, 16)


@settings(max_examples=30, deadline=None)
@given(
    metric=st.sampled_from(METRICS),
    seed=st.integers(0, 2**32 - 1),
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4)), min_size=1, max_size=6),
    undone=st.integers(0, 6),
)
def test_adding_and_taking_away_gives_back_the_same_bits(metric, seed, steps, undone):
    rng = np.random.default_rng(seed)

    def enrol(gallery, prototypes, batch):
        for label, embeddings in batch:
            gallery.add(label, [NewShot(e, None, "b", 1.0, "test", 0.0) for e in embeddings])
            prototypes = prototypes.update(gallery.classes)
        return prototypes

    batch = [(label, unit(rng, n, 8)) for label, n in steps]
    extra = [(label, unit(rng, 3, 8)) for label in "abcd"[:undone]]
    empty = Prototypes(metric, 8)
    with open_gallery(None, fingerprint="f", dim=8) as one, open_gallery(None, fingerprint="f", dim=8) as other:
        expected = enrol(one, empty, batch)
        got = enrol(other, enrol(other, empty, batch), extra)
        for _ in extra:
            other.undo()
            got = got.update(other.classes)
    assert [c.shots.label for c in got.classes] == [c.shots.label for c in expected.classes]
    assert got.rows.matrix.tobytes() == expected.rows.matrix.tobytes()
