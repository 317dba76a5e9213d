"""Damaged bytes, full disks, read-only folders and locks give clear errors and never a wrong embedding."""

from __future__ import annotations

import os
import random
import resource
import shutil
import sqlite3
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import GalleryCorrupt, GalleryError, GalleryUnwritable
from runtime.gallery import Damaged, NewShot, open_gallery, peek

DIM = 8
MODEL = "a" * 64
OTHER_USER = 65534


def shot(seed: int) -> NewShot:
    embedding = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    return NewShot(embedding, b"jpeg" * 20 + bytes([seed]), "burst", 0.5, "camera 0", 1e9 + seed)


@pytest.fixture
def path():
    # Not tmp_path: its parents are closed to other users, and as root the read-only tests act as one.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "shop.db"


def enrol(path: Path, classes: int = 3, each: int = 4) -> dict[int, tuple[str, bytes]]:
    """Fill a gallery; return {id: (label, embedding bytes)}."""
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        for number in range(classes):
            gallery.add(f"class {number}", [shot(number * each + i) for i in range(each)])
        return {
            int(id_): (label, row.tobytes())
            for label, c in gallery.classes.items()
            for id_, row in zip(c.ids, c.embeddings, strict=True)
        }


def edit(path: Path, sql: str, *values: object) -> None:
    database = sqlite3.connect(path)
    database.execute(sql, values)
    database.commit()
    database.close()


@contextmanager
def without_root():
    """Act as another user for a moment, because permissions do not apply to root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(OTHER_USER)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE shots SET embedding = x'00' || substr(embedding, 2) WHERE id = 2",
        "UPDATE shots SET class = 2 WHERE id = 2",
        "UPDATE shots SET class = 77 WHERE id = 2",
        "UPDATE shots SET negative = 1 WHERE id = 2",
        "UPDATE shots SET burst = CAST(x'ff' AS TEXT) WHERE id = 2",
        "UPDATE shots SET quality = 'x', time_s = NULL, digest = NULL WHERE id = 2",
    ],
)
def test_a_damaged_shot_is_not_used_and_the_rest_can_be_changed_after_a_repair(path, sql):
    enrol(path)
    edit(path, sql)
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        damaged = gallery.damaged[0]
        assert (damaged.id, damaged.what) == (2, "the record of this shot is damaged")
        assert gallery.classes["class 0"].ids.tolist() == [1, 3, 4]
        assert not gallery.classes["class 0"].negatives.size
        with pytest.raises(GalleryUnwritable, match=r"damaged places were found.*edgefs gallery repair"):
            gallery.add("class 0", [shot(50)])
        gallery.repair()
        left = {1, 3, 4} | ({2} if "class = " in sql or "negative" in sql else set())  # one flipped bit is corrected
        assert set(gallery.classes["class 0"].ids.tolist()) <= left
        gallery.add("class 0", [shot(50)])
        gallery.rename("class 0", "mug")
        assert gallery.classes["mug"].ids.tolist()[-1] == 13
        assert not gallery.damaged


def test_a_damaged_class_is_not_used_and_a_repair_gives_its_shots_another_name(path):
    enrol(path)
    edit(path, "UPDATE classes SET digest = x'00' WHERE id = 1")
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        assert list(gallery.classes) == ["class 1", "class 2"]
        assert gallery.damaged[0] == Damaged(
            1, "class 0", "the record of this class is damaged, so its shots are not used"
        )
        assert [d.id for d in gallery.damaged[1:5]] == [1, 2, 3, 4]
        notes = gallery.repair().notes
        assert "the class 1 has lost its name and is now called 'recovered 1'" in notes
        assert gallery.classes["recovered 1"].ids.tolist() == [1, 2, 3, 4]
        gallery.add("class 0", [shot(50)])
        assert gallery.classes["class 0"].ids.tolist() == [13]


def test_a_class_whose_shots_are_all_damaged_can_be_forgotten_or_enrolled_again(path):
    enrol(path)
    edit(path, "UPDATE shots SET digest = x'00' WHERE class = 1")
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        assert {d.id for d in gallery.damaged} >= {1, 2, 3, 4}
        gallery.repair()
        gallery.add("class 0", [shot(50)])
        assert list(gallery.classes) == ["class 0", "class 1", "class 2"]
        gallery.forget("class 0")
        assert "class 0" not in gallery.classes


def test_a_damaged_record_never_gets_a_new_digest(path):
    enrol(path)
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        edit(path, "UPDATE shots SET embedding = zeroblob(32) WHERE id = 5")
        gallery.refresh()
        new = {id_: np.ones(DIM, np.float32) for id_ in gallery.stored_ids()}
        assert 5 not in new
        with pytest.raises(GalleryUnwritable):
            gallery.replace_embeddings(new | {5: np.ones(DIM, np.float32)}, fingerprint="b" * 64, dim=DIM)
        gallery.repair()
        gallery.replace_embeddings(new, fingerprint="b" * 64, dim=DIM)
        assert gallery.classes["class 1"].ids.tolist() == [6, 7, 8]


def test_a_damaged_crop_is_refused_when_it_is_read(path):
    enrol(path)
    edit(path, "UPDATE crops SET jpeg = x'00' WHERE shot = 1")
    edit(path, "DELETE FROM crops WHERE shot = 2")
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        for id_ in (1, 2):
            with pytest.raises(GalleryCorrupt, match=f"The crop of shot {id_} must be what was enrolled"):
                gallery.crop(id_)
        assert gallery.crop(3) == shot(2).crop


def test_undo_stops_at_a_damaged_operation(path):
    enrol(path)
    edit(path, "UPDATE operations SET last_shot = 2 WHERE id = 2")
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        assert [operation.what for operation in gallery.history()] == ["enrolled 4 shots of 'class 2'"]


def test_a_damaged_header_costs_nothing_because_there_is_a_copy(path):
    truth = enrol(path)
    edit(path, "UPDATE header SET dim = 9")
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        assert gallery.state == "damaged"
        assert sum(len(c.ids) for c in gallery.classes.values()) == len(truth)
    edit(path, "UPDATE header SET fingerprint = 'another'")
    edit(path, "UPDATE totals SET digest = x'00' WHERE name = 'model'")
    with pytest.raises(GalleryCorrupt, match="Restore a backup"):
        open_gallery(path, fingerprint=MODEL, dim=DIM)


def test_any_flipped_bit_or_damaged_page_gives_exact_embeddings_or_a_clear_error(path):
    truth = enrol(path, classes=20, each=10)
    good = path.read_bytes()
    dice = random.Random(0)
    outcomes = {"exact": 0, "set aside": 0, "refused": 0}
    for attempt in range(250):
        data = bytearray(good)
        if attempt % 5:
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        else:
            page = dice.randrange(1, len(data) // 4096) * 4096
            data[page : page + 4096] = dice.randbytes(4096)
        path.write_bytes(data)
        for file in path.parent.glob("*-*"):
            file.unlink()
        try:
            with open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
                found = {
                    int(id_): (label, row.tobytes())
                    for label, c in gallery.classes.items()
                    for id_, row in zip(c.ids, c.embeddings, strict=True)
                }
                assert found.items() <= truth.items()
                assert len(found) == len(truth) or gallery.damaged
                outcomes["set aside" if gallery.damaged else "exact"] += 1
        except GalleryError:
            outcomes["refused"] += 1
    assert outcomes["set aside"] > 100, outcomes
    assert not outcomes["refused"], outcomes


def test_a_full_disk_changes_nothing_and_says_so(path):
    enrol(path)
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        before = gallery.classes
        gallery._file.db.execute("PRAGMA max_page_count = 1")  # SQLite's own "full": no page more than there are
        with pytest.raises(GalleryUnwritable, match=r"is full\. Free some space\. Nothing was changed"):
            gallery.add("mug", [shot(i) for i in range(100)])
        assert gallery.classes is before
        gallery._file.db.execute("PRAGMA max_page_count = 1000000")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))  # the system's: write() fails
        try:
            with pytest.raises(GalleryUnwritable, match=r"disk I/O error.*may have been written"):
                gallery.add("mug", [shot(i) for i in range(100)])
        finally:
            assert gallery.state == "disk full"
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert gallery.classes is before
        gallery.add("mug", [shot(100)])
        assert gallery.classes["mug"].ids.tolist() == [13]


def test_a_gallery_in_a_read_only_folder_can_be_read_but_not_changed(path):
    truth = enrol(path)
    path.chmod(0o444)
    path.parent.chmod(0o555)
    before = sorted(path.parent.iterdir())
    with without_root(), open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        assert sum(len(c.ids) for c in gallery.classes.values()) == len(truth)
        assert gallery.crop(1) == shot(0).crop
        assert not gallery.refresh()
        with pytest.raises(GalleryUnwritable, match=r"readonly database. Make the file and its folder writable"):
            gallery.add("mug", [shot(50)])
        assert "mug" not in gallery.classes
        assert peek(path).shots == len(truth)
    assert sorted(path.parent.iterdir()) == before


def test_changes_of_another_process_are_seen_in_a_read_only_file(path):
    truth = enrol(path)
    path.chmod(0o644)
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as writer:
        writer.add("late", [shot(50)])  # only in the WAL yet
        with without_root(), open_gallery(path, fingerprint=MODEL, dim=DIM) as reader:
            assert sum(len(c.ids) for c in reader.classes.values()) == len(truth) + 1
            writer_was = reader.classes
            with pytest.raises(GalleryUnwritable):
                reader.forget("late")
            assert reader.classes is writer_was
    with open_gallery(path, fingerprint=MODEL, dim=DIM, readonly=True) as reader:
        assert "late" in reader.classes
        with pytest.raises(GalleryUnwritable):
            reader.undo()


def test_writes_in_a_wal_that_cannot_be_read_are_not_ignored(path):
    enrol(path)
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as writer:
        writer.add("late", [shot(50)])
        folder = path.parent / "copy"  # as after a crash: a WAL that still holds writes, and no shared memory
        folder.mkdir()
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", folder / f"{path.name}{suffix}")
    folder.chmod(0o555)
    with without_root(), pytest.raises(GalleryUnwritable, match="folder writable"):
        open_gallery(folder / path.name, fingerprint=MODEL, dim=DIM)
    folder.chmod(0o755)
    with open_gallery(folder / path.name, fingerprint=MODEL, dim=DIM) as gallery:
        assert "late" in gallery.classes


def test_a_gallery_that_another_process_locks_says_so(path):
    enrol(path)
    with open_gallery(path, fingerprint=MODEL, dim=DIM, timeout_s=0.05) as gallery:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(GalleryUnwritable, match=r"database is locked. Another process is writing"):
            gallery.add("mug", [shot(50)])
        other.close()
        gallery.add("mug", [shot(50)])


def test_a_missing_folder_is_named_in_the_error(path):
    with pytest.raises(GalleryUnwritable, match=r"unable to open database file. Create the folder"):
        open_gallery(path / "absent" / "shop.db", fingerprint=MODEL, dim=DIM)
