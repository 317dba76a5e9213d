"""What was forgotten is deleted after some minutes, or at once, from every file that belongs to the gallery."""

from __future__ import annotations

import re
import sqlite3
import time

import numpy as np
import pytest

from runtime.errors import InvalidShot, NothingToUndo, OptionError
from runtime.gallery import UNDO_MINUTES, NewShot, open_gallery
from runtime.gallery.recovery.asides import read_aside, write_aside
from runtime.gallery.retention import Ages

DIM = 8
MODEL = "a" * 64
SECRET = b"a picture that must be deleted " * 300
LABEL = "Erika Mustermann"


class Clocks:
    """A monotonic clock and a wall clock."""

    def __init__(self) -> None:
        self.monotonic_s, self.wall_s = 1000.0, time.time()

    def ages(self) -> Ages:
        return Ages(lambda: self.monotonic_s, lambda: self.wall_s)


def shot(seed: int, crop: bytes = b"jpeg") -> NewShot:
    embedding = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    return NewShot(embedding, crop, f"burst {seed}", 0.5, "camera 0", 1e9 + seed)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.db"


@pytest.fixture
def gallery(path):
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        gallery.add("mug", [shot(1), shot(2)])
        gallery.add(LABEL, [shot(3, SECRET), shot(4, SECRET[:2000])])
        yield gallery


def traces(folder) -> list[str]:
    """Return which files hold the name, the pictures or the embeddings."""
    needles = LABEL.encode(), SECRET[:400], shot(3).embedding.tobytes(), shot(4).embedding.tobytes()
    return sorted(
        file.name
        for file in folder.rglob("*")
        if file.is_file() and any(needle in file.read_bytes() for needle in needles)
    )


def test_forget_now_deletes_from_every_file(gallery, path, tmp_path):
    gallery.backup(tmp_path / "backups.db")
    write_aside(gallery)  # as a swap of the model does
    database = tmp_path / "shop.db.set-aside-1"  # as a repair does
    database.write_bytes(SECRET)
    assert traces(tmp_path)
    gallery.forget(LABEL, now=True)
    assert traces(tmp_path) == []
    assert not database.exists()
    assert set(read_aside(gallery, MODEL)) == {1, 2}
    with pytest.raises(NothingToUndo):
        gallery.undo()
    with open_gallery(tmp_path / "backups.db", fingerprint=MODEL, dim=DIM) as backup:
        assert list(backup.classes) == ["mug"]
        assert not backup.check()
    assert gallery.add("cup", [shot(5)]) == [5], "an id is never used twice"


def test_forgetting_can_be_undone_for_30_minutes_and_is_final_then(gallery, tmp_path):
    clocks = Clocks()
    gallery._file.ages = clocks.ages()
    gallery.forget(LABEL)
    assert UNDO_MINUTES == gallery.undo_minutes == 30
    gallery.refresh()
    with pytest.raises(InvalidShot):
        gallery.crop(3)  # undo can restore it, but nothing shows it
    clocks.monotonic_s += 29 * 60
    gallery.refresh()
    assert gallery.crop(3, forgotten=True) == SECRET
    assert traces(tmp_path)
    clocks.monotonic_s += 2 * 60
    gallery.refresh()
    assert traces(tmp_path) == []
    assert list(gallery.classes) == ["mug"]


@pytest.mark.parametrize("jump_s", [-366 * 86400, 366 * 86400])
def test_setting_the_clock_does_not_change_for_how_long_forgetting_can_be_undone(gallery, jump_s, tmp_path):
    clocks = Clocks()
    gallery._file.ages = clocks.ages()
    gallery.forget(LABEL)
    gallery.refresh()
    clocks.wall_s += jump_s
    clocks.monotonic_s += 60
    gallery.refresh()
    assert gallery.crop(3, forgotten=True) == SECRET
    clocks.monotonic_s += 30 * 60
    gallery.refresh()
    assert traces(tmp_path) == []


def test_the_next_program_that_opens_the_gallery_deletes_what_is_due(gallery, path, tmp_path):
    gallery.set_undo_minutes(0)
    gallery.set_undo_minutes(10)
    gallery.forget(LABEL)
    gallery.close()
    assert traces(tmp_path)
    database = sqlite3.connect(path)
    database.execute("UPDATE settings SET value = 10")
    database.close()
    with open_gallery(path, fingerprint=MODEL) as again:
        assert again.undo_minutes == 10
        again.set_undo_minutes(0)
        assert traces(tmp_path) == []
    for minutes in (-1, 10**9):
        with open_gallery(path, fingerprint=MODEL) as again, pytest.raises(OptionError, match="minutes of undo"):
            again.set_undo_minutes(minutes)


def test_a_reader_of_an_older_state_delays_the_deletion_until_it_ends(gallery, path, tmp_path):
    gallery._file.wipe()
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM shots").fetchone()
    gallery.forget(LABEL)
    assert not gallery.purge(now=True).wiped
    reader.execute("ROLLBACK")
    gallery.refresh()
    assert traces(tmp_path) == []
    reader.close()


def test_a_removed_shot_and_an_undone_enrolment_are_deleted_too(gallery, tmp_path):
    gallery.remove_shot(3)
    gallery.purge(now=True)
    assert SECRET[:400] in (tmp_path / "shop.db").read_bytes(), "the other shot of the class is kept"
    assert shot(3).embedding.tobytes() not in (tmp_path / "shop.db").read_bytes()
    gallery.add("other", [shot(9)])
    gallery.undo()
    gallery.purge(now=True)
    assert gallery.undone() == []


def test_a_backup_that_cannot_be_opened_is_named(gallery, tmp_path):
    backup = tmp_path / "backup.db"
    gallery.backup(backup)
    backup.write_bytes(b"something else" * 100)
    gallery.forget(LABEL)
    assert gallery.purge(now=True).unreached == (str(backup),)


@pytest.mark.parametrize("seed", [14, 23])  # without `runtime/erasing.py`, bytes stayed
def test_no_byte_of_what_was_forgotten_stays_whatever_was_changed_before(path, seed):
    rng, numbers = np.random.default_rng(seed), iter(range(1000))
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        for step in range(200):
            if step == 100:
                gallery.backup(path.with_name("backup.db"))
            label = f"class {rng.integers(40)}"
            if rng.random() < 0.6:
                some = [next(numbers) for _ in range(rng.integers(1, 4))]
                rows = rng.standard_normal((len(some), DIM)).astype(np.float32)
                crops = [f"<{number}>".encode() * 40 for number in some]
                gallery.add(
                    label, [NewShot(*pair, "burst", 0.5, "camera 0", 1e9) for pair in zip(rows, crops, strict=True)]
                )
            elif label in gallery.classes:
                gallery.forget(label, now=True)
        ids = [id_ for shots in gallery.classes.values() for id_ in shots.ids]
        kept = {gallery.crop(int(id_)).partition(b">")[0] + b">" for id_ in ids}
    assert set(re.findall(rb"<\d+>", path.read_bytes())) == kept
    assert kept > set(re.findall(rb"<\d+>", path.with_name("backup.db").read_bytes())) > set()
