"""The contract of a gallery: changes are durable, exact and can be undone, and the model that filled it is known."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from runtime.errors import (
    GalleryMismatch,
    InvalidLabel,
    InvalidShot,
    NothingToUndo,
    UnknownLabel,
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


def test_enrolled_shots_are_exact_in_memory_and_after_reopening(gallery):
    new = shots(1, 2, 3)
    ids = gallery.add("mug", new)
    gallery.add("mug", shots(4), negative=True)
    mug = gallery.classes["mug"]
    assert mug.ids.tolist() == ids
    assert np.array_equal(mug.embeddings, [s.embedding for s in new])
    assert mug.bursts == tuple(s.burst for s in new)
    assert np.array_equal(mug.negatives, [shot(4).embedding])
    assert mug.embeddings.flags.c_contiguous
    assert not any(a.flags.writeable for a in (mug.ids, mug.embeddings, mug.qualities, mug.negatives))
    with reopened(gallery) as again:
        assert content(again) == content(gallery)
        assert again.crop(ids[0]) == new[0].crop


def test_a_shot_can_be_read_with_everything_that_was_stored(gallery):
    (id_,) = gallery.add("mug", shots(1))
    (no,) = gallery.add("mug", [shot(2, crop=None)], negative=True)
    record = gallery.shot(id_)
    assert (record.label, record.burst, record.quality, record.source, record.time_s, record.negative) == (
        "mug", "burst 0", 0.5, "camera 0", 1e9 + 1, False,
    )  # fmt: skip
    assert gallery.shot(no).negative
    assert gallery.crop(no) is None
    assert gallery.shot(gallery.classes["mug"].ids[0]).id == id_, "ids as memory has them"
    assert [r.id for r in gallery.records("mug")] == [id_, no]
    with pytest.raises(InvalidShot, match="Shot 99 must be in the gallery"):
        gallery.crop(99)


def test_a_class_is_a_new_object_when_it_changes_and_the_same_one_otherwise(gallery):
    gallery.add("mug", shots(1))
    gallery.add("cup", shots(2))
    mug, cup, before = gallery.classes["mug"], gallery.classes["cup"], gallery.classes
    gallery.add("cup", shots(3))
    assert gallery.classes["mug"] is mug
    assert gallery.classes["cup"] is not cup
    assert before["cup"] is cup, "a snapshot never changes"
    gallery.forget("cup")
    gallery.undo()
    gallery.rename("cup", "beaker")
    assert gallery.classes["mug"] is mug


def test_undo_describes_and_exactly_reverts_every_kind_of_change(gallery):
    changes = [
        (lambda: gallery.add("mug", shots(1, 2)), "enrolled 2 shots of 'mug'"),
        (lambda: gallery.add("cup", shots(3)), "enrolled 1 shot of 'cup'"),
        (lambda: gallery.add("mug", shots(4)), "enrolled 1 shot of 'mug'"),
        (lambda: gallery.add("cup", shots(5), negative=True), "marked 1 shot as not 'cup'"),
        (lambda: gallery.rename("mug", "beaker"), "renamed 'mug' to 'beaker'"),
        (lambda: gallery.merge("beaker", "cup"), "merged 'beaker' (3 shots) into 'cup'"),
        (lambda: gallery.add("cup", shots(6)), "enrolled 1 shot of 'cup'"),
        (lambda: gallery.forget("cup"), "forgot 'cup' (5 shots)"),
        (lambda: gallery.add("cup", shots(7)), "enrolled 1 shot of 'cup'"),
    ]
    states = []
    for change, _ in changes:
        states.append(content(gallery))
        change()
    assert [operation.what for operation in gallery.history()] == [what for _, what in reversed(changes)]
    gallery = reopened(gallery)
    for (_, what), state in zip(reversed(changes), reversed(states), strict=True):
        assert gallery.undo() == what
        assert content(gallery) == state
    with pytest.raises(NothingToUndo, match="none is left"):
        gallery.undo()
    gallery.close()


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


def test_invalid_shots_are_refused_before_anything_is_written(gallery):
    gallery.add("mug", shots(1))
    before = content(gallery), gallery.history()
    wrong = {
        r"shape \(8,\), but got \(3,\)": replace(shot(2), embedding=np.ones(3, np.float32)),
        "finite, but got NaN": replace(shot(2), embedding=np.full(DIM, np.nan, np.float32)),
        "NaN or infinity": replace(shot(2), embedding=np.full(DIM, 1e39)),
        "quality in 0..1": replace(shot(2), quality=float("nan")),
        "finite time": replace(shot(2), time_s=float("inf")),
        "must be text": replace(shot(2), burst="\ud800"),
    }
    for message, bad in wrong.items():
        with pytest.raises(InvalidShot, match=message):
            gallery.add("mug", [shot(3), bad])
    with pytest.raises(InvalidShot, match="At least one shot"):
        gallery.add("mug", [])
    assert (content(gallery), gallery.history()) == before
    assert gallery.add("mug", shots(4)) == [2], "no id was used up"


def test_a_label_that_is_taken_or_reserved_and_a_merge_into_itself_are_refused(gallery):
    gallery.add("mug", shots(1))
    gallery.add("cup", shots(2))
    with pytest.raises(InvalidLabel, match="merge them"):
        gallery.rename("mug", "cup")
    with pytest.raises(InvalidLabel, match="Two different classes"):
        gallery.merge("mug", " mug")
    for change in (lambda: gallery.add("Unknown", shots(3)), lambda: gallery.rename("mug", "unknown")):
        with pytest.raises(InvalidLabel, match="must not be 'unknown'"):
            change()
    with pytest.raises(UnknownLabel, match="It has 'mug', 'cup'"):
        gallery.add("bottle", shots(1), negative=True)
    assert list(gallery.classes) == ["mug", "cup"]


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


def test_many_threads_may_enrol_and_read_at_once(gallery):
    def enrol(name: int) -> None:
        for seed in range(10):
            gallery.add(f"class {name}", shots(seed))
            assert all(len(c.ids) == len(c.embeddings) for c in gallery.classes.values())

    threads = [threading.Thread(target=enrol, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    before = content(gallery)
    assert [len(c.ids) for c in gallery.classes.values()] == [10] * 4
    with reopened(gallery) as again:
        assert content(again) == before
