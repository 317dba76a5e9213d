"""The check finds damage in every table, in crops and in indexes."""

import sqlite3

import numpy as np
import pytest

from runtime.gallery import NewShot, open_gallery

DIM = 4
FLIPS = {
    "header": "UPDATE header SET dim = 5",
    "class": "UPDATE classes SET label = 'other' WHERE id = 1",
    "shot": "UPDATE shots SET quality = 0.25 WHERE id = 1",
    "crop": "UPDATE crops SET jpeg = x'00' WHERE shot = 1",
    "missing crop": "DELETE FROM crops WHERE shot = 1",
    "operation": "UPDATE operations SET what = 'other'",
    "missing operation": "DELETE FROM operations WHERE id = 1",
    "mark": "UPDATE marks SET keep = 1",
    "missing mark": "DELETE FROM marks",
    "frame": "UPDATE background SET told = 0",
    "setting": "UPDATE settings SET value = 7",
    "missing setting": "DELETE FROM settings",
    "total": "UPDATE totals SET rows = 9 WHERE name = 'shots'",
    "index": "PRAGMA writable_schema = 1; DROP INDEX shots_by_class",
}


@pytest.mark.parametrize("sql", FLIPS.values(), ids=FLIPS.keys())
def test_damage_is_found_and_repaired(tmp_path, sql):
    path = tmp_path / "shop.db"
    with open_gallery(path, fingerprint="f", dim=DIM) as gallery:
        gallery.add("mug", [NewShot(np.full(DIM, i, np.float32), b"jpeg", "b", 0.5, "api", 1.0) for i in range(3)])
        gallery.remove_shot(2)
        gallery.set_stranger_rate(0.1)
        gallery.add_unknown_frames(np.ones((1, DIM), np.float32))
        assert gallery.check() == ()
    database = sqlite3.connect(path)
    database.executescript(sql)
    database.close()
    with open_gallery(path, fingerprint="f", dim=DIM) as gallery:
        assert gallery.check()
        assert gallery.state == "damaged"
        assert gallery.repair().kept
        assert gallery.check() == ()
        assert gallery.state == "ok"
