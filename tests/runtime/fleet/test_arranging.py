"""Shots of a gallery file come to their places, and whatever the file shows is what a fresh reader sees."""

import numpy as np
import pytest

from runtime.fleet import arranging
from runtime.gallery import NewShot, open_gallery


def shot(seed):
    return NewShot(
        np.random.default_rng(seed).standard_normal(4).astype(np.float32), b"jpeg", "burst", 1.0, "test", 0.0
    )


def content(gallery):
    return {label: (shots.ids.tolist(), len(shots.negatives)) for label, shots in gallery.classes.items()}


@pytest.fixture
def gallery(tmp_path):
    with open_gallery(tmp_path / "copy.db", fingerprint="f", dim=4) as opened:
        yield opened
        with open_gallery(tmp_path / "copy.db", fingerprint="f", dim=4) as again:
            assert content(again) == content(opened)
            assert not again.check()


def test_shots_are_hidden_until_they_get_a_place(gallery):
    ids = gallery.change(arranging.store, [shot(1), shot(2), shot(3)])
    assert content(gallery) == {}
    gallery.change(arranging.arrange, {ids[0]: ("mug", False), ids[1]: ("mug", True), ids[2]: ("cup", False)}, ["mug"])
    assert content(gallery) == {"mug": ([ids[0]], 1), "cup": ([ids[2]], 0)}
    assert gallery.change(arranging.places) == {
        ids[0]: ("mug", False), ids[1]: ("mug", True), ids[2]: ("cup", False),
    }  # fmt: skip


def test_a_class_is_renamed_parked_and_comes_back(gallery):
    ids = gallery.change(arranging.store, [shot(1), shot(2)])
    for label in ("mug", "cup"):
        gallery.change(arranging.arrange, dict.fromkeys(ids, (label, False)))
        assert content(gallery) == {label: (ids, 0)}
    gallery.change(arranging.arrange, dict.fromkeys(ids))
    assert content(gallery) == {}
    assert gallery.crop(ids[0], forgotten=True) == b"jpeg"
    gallery.purge(now=True)
    assert gallery.stored_ids() == ids, "the file does not decide what is deleted"
    gallery.change(arranging.arrange, {ids[1]: ("cup", False)})
    assert content(gallery) == {"cup": ([ids[1]], 0)}


def test_an_unchanged_class_stays_the_same_object(gallery):
    first, second = gallery.change(arranging.store, [shot(1), shot(2)])
    gallery.change(arranging.arrange, {first: ("mug", False)})
    mug = gallery.classes["mug"]
    gallery.change(arranging.arrange, {second: ("cup", False)})
    assert gallery.classes["mug"] is mug


def test_discarded_shots_are_gone_with_their_class(gallery, tmp_path):
    secret = NewShot(np.ones(4, np.float32), b"a secret picture" * 50, "burst", 1.0, "test", 0.0)
    ids = gallery.change(arranging.store, [secret, shot(2)])
    gallery.change(arranging.arrange, {ids[0]: ("me", False), ids[1]: ("mug", False)})
    gallery.change(arranging.discard, ids[:1])
    gallery.wipe()
    assert content(gallery) == {"mug": (ids[1:], 0)}
    assert not any(b"secret" in path.read_bytes() for path in tmp_path.iterdir())


def test_stored_shots_are_read_back_as_they_were_given(gallery):
    ids = gallery.change(arranging.store, [shot(1)])
    (found,) = gallery.change(arranging.read, ids)
    assert found.embedding.tobytes() == shot(1).embedding.tobytes()
    assert (found.crop, found.burst, found.source) == (b"jpeg", "burst", "test")
    assert gallery.change(arranging.read, [99]) == [None]
