"""The contract of every gallery: changes are durable, exact and can be undone."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from runtime.errors import InvalidLabel, InvalidShot, NothingToUndo, OptionError, StaleOperation, UnknownLabel
from runtime.gallery import ClassShots, Gallery, NewShot, open_gallery

DIM = 8
MODEL = "a" * 64


def shot(seed: int, crop: bytes | None = b"jpeg") -> NewShot:
    embedding = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    return NewShot(embedding, crop and crop + bytes([seed % 256]), f"burst {seed // 5}", 0.5, "camera 0", 1e9 + seed)


def shots(*seeds: int) -> list[NewShot]:
    return [shot(seed) for seed in seeds]


def content(gallery: Gallery) -> list[tuple[object, ...]]:
    def flat(c: ClassShots) -> tuple[object, ...]:
        arrays = (c.ids, c.embeddings, c.qualities, c.negatives)
        return c.label, c.bursts, *(array.tobytes() for array in arrays)

    return [flat(c) for c in gallery.classes.values()]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.fleet)])
def opened(request, tmp_path):
    """Open the same gallery again and again; what is open is closed before."""
    where = tmp_path / "shop.db"
    if request.param == "postgresql":
        database = request.getfixturevalue("site")
        where = f"{database}?copy={where}&device=camera1"
    open_ones = []

    def open_again() -> Gallery:
        while open_ones:
            open_ones.pop().close()
        open_ones.append(open_gallery(where, fingerprint=MODEL, dim=DIM))
        return open_ones[-1]

    yield open_again
    open_ones.pop().close()


@pytest.fixture
def gallery(opened):
    return opened()


def test_enrolled_shots_are_exact_in_memory_and_after_reopening(gallery, opened):
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
    before = content(gallery)
    again = opened()
    assert content(again) == before
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


def test_undo_describes_and_exactly_reverts_every_kind_of_change(gallery, opened):
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
    gallery = opened()
    for (_, what), state in zip(reversed(changes), reversed(states), strict=True):
        assert gallery.undo() == what
        assert content(gallery) == state
    with pytest.raises(NothingToUndo, match="none is left"):
        gallery.undo()


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


def test_many_threads_may_enrol_and_read_at_once(gallery, opened):
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
    assert content(opened()) == before


def test_what_undo_took_back_can_be_made_again_until_another_change(gallery):
    gallery.add("mug", shots(1))
    gallery.add("cup", shots(2, 3))
    gallery.forget("mug")
    states = [content(gallery)]
    for _ in range(3):
        gallery.undo()
        states.append(content(gallery))
    assert [one.what for one in gallery.undone()] == [
        "enrolled 1 shot of 'mug'",
        "enrolled 2 shots of 'cup'",
        "forgot 'mug' (1 shot)",
    ]
    for state in reversed(states[:-1]):
        gallery.redo()
        assert content(gallery) == state
    gallery.undo()
    gallery.add("bowl", shots(4))
    assert gallery.undone() == []
    with pytest.raises(NothingToUndo):
        gallery.redo()


def test_a_change_is_undone_only_if_it_is_the_one_that_is_meant(gallery):
    gallery.add("mug", shots(1))
    first = gallery.last_operation
    gallery.add("cup", shots(2))
    second = gallery.last_operation
    assert [one.id for one in gallery.history()] == [second, first]
    with pytest.raises(StaleOperation, match="Nothing was changed"):
        gallery.undo(first)
    gallery.undo(second)
    with pytest.raises(StaleOperation):
        gallery.redo(first)
    gallery.redo(second)
    assert list(gallery.classes) == ["mug", "cup"]


def test_a_shot_can_be_removed_and_moved(gallery, opened):
    ids = gallery.add("mug", shots(1, 2, 3))
    gallery.add("cup", shots(4))
    assert gallery.remove_shot(ids[0]) == "mug"
    moved = gallery.move_shot(ids[1], "cup")
    assert gallery.shot(moved).label == "cup"
    with pytest.raises(InvalidShot, match="Forget the class"):
        gallery.remove_shot(ids[2])
    with pytest.raises(InvalidShot):
        gallery.shot(ids[0])
    before = content(gallery)
    gallery = opened()
    assert content(gallery) == before
    gallery.undo()
    gallery.undo()
    assert gallery.classes["mug"].ids.tolist() == ids


def test_settings_are_stored_and_undo_does_not_change_them(gallery, opened):
    gallery.set_keep_crops(False)
    (id_,) = gallery.add("mug", shots(1))
    assert gallery.crop(id_) is None
    gallery.set_stranger_rate(0.2)
    gallery.set_undo_minutes(7)
    gallery.set_precision("int8")
    gallery.undo()
    gallery = opened()
    assert (gallery.keep_crops, gallery.stranger_rate, gallery.undo_minutes, gallery.precision) == (
        False,
        0.2,
        7,
        "int8",
    )
    with pytest.raises(OptionError):
        gallery.set_stranger_rate(2)


def test_the_newest_200_frames_that_show_nothing_taught_are_kept(gallery, opened):
    rows = np.random.default_rng(0).standard_normal((205, DIM)).astype(np.float32)
    gallery.add_unknown_frames(rows[:100])
    gallery.add_unknown_frames(rows[100:])
    assert np.array_equal(gallery.unknown_frames, rows[5:])
    assert gallery.unknown_frames is gallery.unknown_frames
    assert not gallery.history()
    assert not gallery.classes
    assert np.array_equal(opened().unknown_frames, rows[5:])


def test_what_is_forgotten_now_cannot_come_back_and_its_bytes_are_gone(gallery):
    secret = b"a picture that must be deleted" * 300
    gallery.add("mug", shots(9))
    gallery.add("me", [shot(1, crop=secret), *shots(2)])
    assert gallery.forget("me", now=True) == 2
    assert gallery.history() == []
    with pytest.raises(NothingToUndo):
        gallery.undo()
    files = b"".join(file.read_bytes() for file in gallery.path.parent.iterdir())
    assert shot(9).embedding.tobytes() in files
    assert secret[:500] not in files
    assert shot(1).embedding.tobytes() not in files
