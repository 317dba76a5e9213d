"""A repair keeps every record that can be verified, and says what was lost."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest

from runtime.errors import GalleryUnwritable
from runtime.gallery import NewShot, open_gallery

DIM = 4
MODEL = "a" * 64


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.db"


@pytest.fixture(autouse=True)
def truth(path):
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        for label in ("mug", "cup"):
            rows = np.random.default_rng(len(label)).standard_normal((3, DIM)).astype(np.float32)
            gallery.add(label, [NewShot(row, b"jpeg" + row.tobytes(), "b", 0.5, "camera 0", 1e9) for row in rows])
        gallery.remove_shot(2)
        return contents(gallery)


def contents(gallery):
    return {label: [(r.id, gallery.crop(r.id)) for r in gallery.records(label)] for label in gallery.classes}


def test_a_removed_shot_does_not_come_back_when_a_bit_of_its_mark_flips(path, truth):
    database = sqlite3.connect(path)
    database.execute("UPDATE marks SET shot = 3 WHERE shot = 2")  # one bit
    database.commit()
    database.close()
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        assert gallery.state == "damaged"
        assert contents(gallery) == truth
        gallery.repair()
        assert contents(gallery) == truth


def test_rows_that_vanish_are_noticed(path, truth):
    database = sqlite3.connect(path)
    database.execute("DELETE FROM operations WHERE id = (SELECT max(id) FROM operations)")
    database.commit()
    database.close()
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        assert gallery.state == "damaged"  # undo would take back another change
        with pytest.raises(GalleryUnwritable):
            gallery.undo()
        assert contents(gallery) == truth
        assert any("can no longer be undone" in note for note in gallery.repair().notes)


def test_an_undamaged_gallery_is_not_changed_by_a_repair(path, truth):
    before = path.read_bytes()
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        assert gallery.repair().kept is None
        assert gallery.check() == ()
    assert path.read_bytes() == before
