"""What a gallery file does beyond the contract of tests/contract/test_galleries.py: deletion, models, processes."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.errors import (
    GalleryMismatch,
    InvalidShot,
)
from runtime.gallery import ClassShots, NewShot, SqliteGallery, open_gallery, peek

DIM = 8
MODEL = "a" * 64
OTHER_MODEL = "b" * 64


def shot(seed: int, crop: bytes | None = b"jpeg") -> NewShot:
    embedding = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    return NewShot(embedding, crop and crop + bytes([seed % 256]), f"burst {seed // 5}", 0.5, "camera 0", 1e9 + seed)


def shots(*seeds: int) -> list[NewShot]:
    return [shot(seed) for seed in seeds]


def content(gallery: SqliteGallery) -> list[tuple[object, ...]]:
    def flat(c: ClassShots) -> tuple[object, ...]:
        arrays = (c.ids, c.embeddings, c.qualities, c.negatives)
        return c.label, c.bursts, *(array.tobytes() for array in arrays)

    return [flat(c) for c in gallery.classes.values()]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.db"


@pytest.fixture
def gallery(path):
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        yield gallery


def reopened(gallery: SqliteGallery) -> SqliteGallery:
    gallery.close()
    return open_gallery(gallery.path, fingerprint=MODEL, dim=DIM)


def test_a_forgotten_class_is_deleted_when_that_can_no_longer_be_undone(gallery, path):
    secret = b"a picture that must be deleted" * 300
    gallery.add("me", [shot(1, crop=secret), *shots(2)])
    gallery.add("also me", [shot(3, crop=secret)])
    gallery.merge("also me", "me")
    gallery.forget("me")
    needles = secret[:500], shot(1).embedding.tobytes()
    for seed in range(1000, 1100):
        assert gallery.crop(1, forgotten=True) == secret + b"\x01", "still undoable"
        gallery.add("mug", shots(seed))
    with pytest.raises(InvalidShot):
        gallery.crop(1, forgotten=True)
    files = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert shot(1099).embedding.tobytes() in files
    assert not any(needle in files for needle in needles)
    assert len(gallery.history()) == 100
    assert peek(path).shots == 100


def test_a_class_that_was_named_unknown_by_an_earlier_version_can_be_renamed(gallery, monkeypatch):
    with monkeypatch.context() as earlier:
        earlier.setattr("runtime.gallery.labels.RESERVED", "")
        gallery.add("unknown", shots(1))
    gallery.rename("unknown", "mug")
    assert list(gallery.classes) == ["mug"]


def test_a_gallery_of_another_model_is_refused_with_the_command_that_embeds_it_again(gallery, path):
    gallery.add("mug", shots(1, 2))
    for fingerprint, dim in ((OTHER_MODEL, DIM), (MODEL, DIM + 1)):
        with pytest.raises(
            GalleryMismatch,
            match=r"1 classes with 2 shots.*reembed=True.*edgefs gallery reembed --gallery .*shop.db --bundle BUNDLE",
        ):
            open_gallery(path, fingerprint=fingerprint, dim=dim)
    with open_gallery(path, fingerprint=None) as whatever:
        assert (whatever.fingerprint, whatever.dim) == (MODEL, DIM)


def test_reembedding_replaces_all_embeddings_and_keeps_what_can_be_undone(gallery, path):
    gallery.add("mug", shots(1, 2))
    gallery.add("mug", shots(3), negative=True)
    gallery.forget("mug")
    gallery.add("cup", shots(4))
    new = {id_: np.full(3, id_, np.float32) for id_ in gallery.stored_ids()}
    assert list(new) == [1, 2, 3, 4]
    before = content(gallery)
    with pytest.raises(
        InvalidShot, match=r"including forgotten shots that undo can restore, but 1 have none \(ids \[3\]"
    ):
        gallery.replace_embeddings({i: v for i, v in new.items() if i != 3}, fingerprint=OTHER_MODEL, dim=3)
    assert content(gallery) == before
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as other:
        gallery.replace_embeddings(new, fingerprint=OTHER_MODEL, dim=3)
        with pytest.raises(GalleryMismatch, match="filled by bbbbbbbbbbbb"):
            other.add("mug", shots(5))
    gallery.undo()
    gallery.undo()
    assert gallery.classes["mug"].embeddings.tolist() == [[1, 1, 1], [2, 2, 2]]
    assert gallery.classes["mug"].negatives.tolist() == [[3, 3, 3]]
    assert peek(path).fingerprint == OTHER_MODEL


def test_two_processes_on_one_file_see_each_other_before_they_write(gallery, path):
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as other:
        gallery.add("mug", shots(1))
        assert not other.classes
        assert other.refresh()
        assert not other.refresh()
        mug = other.classes["mug"]
        gallery.add("cup", shots(2))
        other.add("cup", shots(3))
        assert other.classes["mug"] is mug
        assert other.undo() == "enrolled 1 shot of 'cup'"
        assert other.classes["cup"].ids.tolist() == [2]
        gallery.refresh()
        assert content(gallery) == content(other)
