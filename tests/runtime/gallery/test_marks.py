"""Decisions of a person about single shots, frames that show nothing taught, and whether crops are kept."""

import sqlite3

import numpy as np
import pytest

from runtime.errors import InvalidShot, OptionError, UnknownLabel
from runtime.gallery import NewShot, export_gallery, import_gallery, open_gallery, peek
from runtime.gallery.database import SCHEMA_2, SCHEMA_3
from runtime.gallery.operations import MAX_UNKNOWN_FRAMES
from runtime.gallery.records import write_background
from runtime.gallery.retention import KEPT_OPERATIONS
from runtime.opencv import encode_jpeg

DIM = 8


JPEG = encode_jpeg(np.zeros((8, 8, 3), np.uint8))


def shot(seed, crop=JPEG):
    z = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    return NewShot(z, crop, f"burst {seed}", 1.0, "test", 0.0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.db"


@pytest.fixture
def gallery(path):
    with open_gallery(path, fingerprint="f", dim=DIM) as gallery:
        gallery.add("mug", [shot(i) for i in range(3)])
        gallery.add("cup", [shot(9)])
        yield gallery


def ids(gallery, label="mug"):
    return gallery.classes[label].ids.tolist()


def test_a_removed_shot_stays_removed_after_reopening_and_undo_restores_it(gallery, path):
    before = gallery.classes["mug"]
    assert gallery.remove_shot(2) == "mug"
    assert ids(gallery) == [1, 3]
    assert [record.id for record in gallery.records("mug")] == [1, 3]
    with pytest.raises(InvalidShot):
        gallery.shot(2)
    with open_gallery(path, fingerprint="f") as again:
        assert ids(again) == [1, 3]
    assert peek(path).shots == 3
    assert gallery.undo() == "removed shot 2 of 'mug'"
    assert ids(gallery) == before.ids.tolist()
    np.testing.assert_array_equal(gallery.classes["mug"].embeddings, before.embeddings)
    assert gallery.crop(2) == JPEG


def test_a_shot_is_moved_by_one_change_which_undo_takes_back_and_redo_makes_again(gallery, path):
    before = ids(gallery), ids(gallery, "cup")
    moved = gallery.move_shot(2, "cup")
    after = [1, 3], [*before[1], moved]
    assert (ids(gallery), ids(gallery, "cup")) == after
    assert gallery.crop(moved) == JPEG
    with open_gallery(path, fingerprint="f") as again:
        assert (ids(again), ids(again, "cup")) == after
    assert gallery.undo() == "moved shot 2 of 'mug' to 'cup'"
    assert (ids(gallery), ids(gallery, "cup")) == before
    gallery.redo()
    assert (ids(gallery), ids(gallery, "cup")) == after
    for shot_id, to in ((moved, "cup"), (1, "lid"), (77, "cup")):
        with pytest.raises((InvalidShot, UnknownLabel)):
            gallery.move_shot(shot_id, to)
    assert (ids(gallery), ids(gallery, "cup")) == after


def test_the_last_shot_of_a_class_and_an_unknown_one_cannot_be_removed(gallery):
    with pytest.raises(InvalidShot, match="is the last of 'cup'"):
        gallery.remove_shot(4)
    with pytest.raises(InvalidShot, match="Shot 77 must be in the gallery"):
        gallery.remove_shot(77)
    gallery.remove_shot(1)
    with pytest.raises(InvalidShot, match="Shot 1 must be"):
        gallery.remove_shot(1)


def test_a_removed_shot_and_its_crop_are_deleted_when_that_can_no_longer_be_undone(gallery):
    gallery.remove_shot(1)
    for i in range(KEPT_OPERATIONS):
        gallery.rename(*(("cup", "jug"), ("jug", "cup"))[i % 2])
    assert 1 not in gallery.stored_ids()
    with pytest.raises(InvalidShot):
        gallery.crop(1, forgotten=True)


def test_a_removed_shot_can_be_embedded_by_another_model_and_restored(gallery):
    gallery.remove_shot(1)
    gallery.replace_embeddings({i: np.full(4, i, np.float32) for i in gallery.stored_ids()}, fingerprint="g", dim=4)
    assert ids(gallery) == [2, 3]
    gallery.undo()
    np.testing.assert_array_equal(gallery.classes["mug"].embeddings[0], [1, 1, 1, 1])


def test_frames_that_show_nothing_taught_are_stored_until_the_model_changes(gallery, path):
    rows = np.arange(2 * DIM, dtype=np.float32).reshape(2, DIM)
    gallery.add_unknown_frames(rows)
    assert not gallery.unknown_frames.flags.writeable
    with open_gallery(path, fingerprint="f") as again:
        np.testing.assert_array_equal(again.unknown_frames, rows)
    gallery.undo()
    np.testing.assert_array_equal(gallery.unknown_frames, rows)  # undo is about classes
    gallery.replace_embeddings(dict.fromkeys(gallery.stored_ids(), rows[0]), fingerprint="g", dim=DIM)
    assert gallery.unknown_frames.shape == (0, DIM)


def test_only_the_newest_frames_that_show_nothing_taught_are_kept(gallery):
    rows = np.arange(MAX_UNKNOWN_FRAMES + 5, dtype=np.float32)[:, None] * np.ones(DIM, np.float32)
    gallery.add_unknown_frames(rows[:150])
    gallery.add_unknown_frames(rows[150:])
    np.testing.assert_array_equal(gallery.unknown_frames, rows[5:])
    with pytest.raises(InvalidShot):
        gallery.add_unknown_frames(np.full((1, DIM), np.nan, np.float32))
    np.testing.assert_array_equal(gallery.unknown_frames, rows[5:])


def test_what_an_older_version_sampled_by_itself_is_never_read_as_evidence(gallery, path):
    rows = np.eye(2, DIM, dtype=np.float32)
    with gallery._file.reading() as db:
        write_background(db, rows[0].tobytes(), told=False)
    gallery.add_unknown_frames(rows[1:])
    with open_gallery(path, fingerprint="f") as again:
        np.testing.assert_array_equal(again.unknown_frames, rows[1:])


def test_the_stranger_rate_is_remembered_by_the_file(gallery, path):
    assert gallery.stranger_rate is None
    gallery.set_stranger_rate(0.025)
    with open_gallery(path, fingerprint="f") as again:
        assert again.stranger_rate == 0.025
    gallery.undo()
    assert gallery.stranger_rate == 0.025
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(OptionError, match=r"0\.\.1"):
            gallery.set_stranger_rate(wrong)


def test_the_setting_to_keep_no_crops_is_stored_and_holds_for_every_program(gallery, path, tmp_path):
    export_gallery(gallery, tmp_path / "with pictures.zip")
    private = tmp_path / "private.db"
    with open_gallery(private, fingerprint="f", dim=DIM) as first:
        first.set_keep_crops(False)
    with open_gallery(private, fingerprint="f", dim=DIM) as again:
        assert not again.keep_crops
        (one,) = again.add("cup", [shot(1)])
        import_gallery(again, tmp_path / "with pictures.zip")
        assert all(again.crop(i) is None for i in again.stored_ids())
        again.set_keep_crops(True)
        (two,) = again.add("cup", [shot(2)])
        assert (again.crop(one), again.crop(two)) == (None, JPEG)
    assert gallery.keep_crops


def as_format(path, version):
    database = sqlite3.connect(path)
    for statement in (SCHEMA_2 if version < 2 else ()) + SCHEMA_3:
        database.execute(f"DROP TABLE {statement.split()[2]}")
    database.execute(f"PRAGMA user_version = {version}")
    database.execute("PRAGMA journal_mode = DELETE")
    database.commit()
    database.close()


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_an_older_format_opens_and_is_upgraded(gallery, path, version):
    gallery.close()
    as_format(path, version)
    with open_gallery(path, fingerprint="f", readonly=True) as reader:  # nothing may be written
        assert ids(reader) == [1, 2, 3]
        assert reader.keep_crops
        assert len(reader.unknown_frames) == 0
        assert reader.stranger_rate is None
        assert reader.state == "read-only"
    assert peek(path).shots == 4
    with open_gallery(path, fingerprint="f") as writer:
        assert writer.state == "ok"
        writer.remove_shot(1)
        assert ids(writer) == [2, 3]
        assert not writer.check()
    with open_gallery(path, fingerprint="f") as again:
        assert ids(again) == [2, 3]
        assert again.state == "ok"
