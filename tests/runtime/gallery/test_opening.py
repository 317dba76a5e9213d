"""Opening a gallery or something else, and summarising a gallery without changing it."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest

from runtime.errors import GalleryCorrupt, GalleryMismatch, GalleryMissing, GalleryUnwritable
from runtime.gallery import NewShot, open_gallery, peek

DIM = 8
MODEL = "a" * 64


def shots(*seeds: int) -> list[NewShot]:
    return [NewShot(np.full(DIM, seed, np.float32), None, "burst", 0.5, "api", 1.0) for seed in seeds]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.db"


@pytest.fixture
def gallery(path):
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        yield gallery


def test_peek_summarises_a_gallery_and_changes_nothing(gallery, path):
    gallery.add("mug", shots(1, 2))
    gallery.add("mug", shots(3), negative=True)
    gallery.add("cup", shots(4))
    gallery.forget("cup")
    live = peek(path)
    gallery.close()
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    assert sorted(before) == ["shop.db", "shop.db.reserve"]
    assert peek(path) == live
    assert (live.fingerprint, live.dim, live.classes, live.shots, live.negatives) == (MODEL, DIM, 1, 2, 1)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before
    with pytest.raises(
        GalleryMissing, match=r"there is no such file.*edgefs enroll NAME SOURCE --gallery .*absent\.db"
    ):
        peek(path.with_name("absent.db"))
    with pytest.raises(FileNotFoundError):
        open_gallery(path.with_name("absent.db"), fingerprint=None)
    assert not path.with_name("absent.db").exists()


def test_a_file_that_is_no_gallery_is_refused_and_not_changed(path):
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE customers (name)")
    database.close()
    text = path.with_name("notes.txt")
    text.write_text("not a database at all, but longer than a header of one is, which has one hundred bytes " * 2)
    for file, message in ((path, "another SQLite database"), (text, "file is not a database")):
        before = file.read_bytes()
        with pytest.raises(GalleryCorrupt, match=message):
            open_gallery(file, fingerprint=MODEL, dim=DIM)
        assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("PRAGMA user_version = 4", "newer format 4. Upgrade edgefs"),
        ("CREATE TABLE x (y)", "tables of gallery format 3"),
    ],
)
def test_a_newer_format_and_unexpected_tables_are_refused(gallery, path, sql, message):
    gallery.close()
    database = sqlite3.connect(path)
    database.execute(sql)
    database.close()
    with pytest.raises(GalleryCorrupt, match=message):
        open_gallery(path, fingerprint=MODEL, dim=DIM)


def test_a_gallery_in_memory_needs_a_model_and_creates_no_file():
    with open_gallery(None, fingerprint=MODEL, dim=DIM) as gallery:
        gallery.add("mug", shots(1))
        assert gallery.undo() == "enrolled 1 shot of 'mug'"
        assert gallery.path is None
    with pytest.raises(GalleryMismatch, match="Give both"):
        open_gallery(None, fingerprint=None)
    with pytest.raises(GalleryUnwritable, match="it was closed"):
        gallery.add("mug", shots(1))
