"""A matcher is a function of the gallery alone, and one shot more does not fit everything again."""

from dataclasses import replace

import numpy as np
import pytest

from runtime.gallery import ClassShots
from runtime.matching import gallery_matcher as matchers
from runtime.matching.acceptance import level_of
from runtime.matching.basis import leading
from runtime.matching.calibration import Prior
from runtime.matching.gallery_matcher import Matchers
from runtime.matching.heads import HEADS

DIM = 32
NONE = np.zeros((0, DIM), np.float32)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def taught(n_classes, n_shot, seed=0):
    rng = np.random.default_rng(seed)
    classes = {}
    for c in range(n_classes):
        ids = np.arange(n_shot) + n_shot * c
        rows = unit(rng.standard_normal(DIM) + 1.2 * rng.standard_normal((n_shot, DIM)))
        bursts = tuple(f"{c} {i // 3}" for i in range(n_shot))
        classes[f"class {c}"] = ClassShots(f"class {c}", ids, rows, bursts, np.ones(n_shot, np.float32), NONE)
    return classes


def with_shot(classes, label, id_, seed=7):
    old, z = classes[label], unit(np.random.default_rng(seed).standard_normal((1, DIM)))
    one = np.ones(1, np.float32)
    more = replace(
        old,
        ids=np.append(old.ids, id_),
        embeddings=np.concatenate([old.embeddings, z]),
        bursts=(*old.bursts, f"more {id_}"),
        qualities=np.concatenate([old.qualities, one]),
    )
    return {**classes, label: more}


def copied(classes):
    """As a gallery that was opened again: the same content, other objects."""
    return {label: replace(shots, embeddings=shots.embeddings.copy()) for label, shots in classes.items()}


def makers(choice="auto", metric="cosine"):
    background = unit(np.random.default_rng(5).standard_normal((9, DIM)))
    return Matchers(metric, DIM, background, prior=Prior(None, 0.05), choice=choice, scale=1.0)


def bits(matcher):
    queries = unit(np.random.default_rng(3).standard_normal((20, DIM)))
    return repr([matcher.decide(z) for z in queries])


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("choice", ["auto", *HEADS])
def test_whatever_was_done_before_the_answers_of_a_gallery_are_the_same_to_the_bit(choice, metric):
    start = taught(6, 12)
    one_more = with_shot(start, "class 2", 1000)
    grown = with_shot(with_shot(one_more, "class 4", 1001), "class 0", 1002, seed=8)
    at_work = makers(choice, metric)
    for gallery in (start, one_more, grown, {**grown, "class 3": start["class 3"]}, copied(one_more), start):
        assert bits(at_work.matcher(gallery)) == bits(makers(choice, metric).matcher(copied(gallery)))
    fewer = {label: shots for label, shots in start.items() if label != "class 1"}
    assert bits(at_work.matcher(fewer)) == bits(makers(choice, metric).matcher(copied(fewer)))
    assert bits(at_work.matcher(start)) == bits(makers(choice, metric).matcher(start))


def test_a_shot_more_is_matched_at_once_and_everything_is_fitted_again_only_now_and_then(monkeypatch):
    fits = []
    monkeypatch.setattr(matchers, "level_of", lambda *args: fits.append(1) or level_of(*args))
    gallery, at_work = taught(10, 12), makers()
    at_work.matcher(gallery)
    for i in range(16):
        gallery = with_shot(gallery, "class 3", 1000 + i, seed=i)
        matcher = at_work.matcher(gallery)
        assert len(matcher.prototypes.classes[3].shots.ids) == 13 + i
    assert len(fits) == 2  # at 120 and 128 shots


def test_a_class_taught_after_many_shots_is_known_at_once():
    gallery = {**taught(10, 12), "new": replace(taught(1, 1, seed=9)["class 0"], label="new", ids=np.array([999]))}
    at_work = makers()
    at_work.matcher(taught(10, 12))
    matcher = at_work.matcher(gallery)
    best = matcher.decide(gallery["new"].embeddings[0])
    assert matcher.prototypes.classes[best.row].shots.label == "new"
    assert np.isfinite(matcher.acceptance.levels).all()


def test_the_basis_loses_at_most_an_eighth():
    for n in range(1, 5000):
        assert n - n / 8 <= leading(n) <= n
    assert [leading(n) for n in (7, 15, 17, 1000)] == [7, 15, 16, 960]
