"""A write-ahead log of another file is never mixed into a gallery, and that of a killed program is used."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from runtime.gallery import NewShot, open_gallery
from runtime.gallery.recovery.wal import committed_pages, wal_path

DIM = 8
MODEL = "a" * 64


def shots(*seeds: int) -> list[NewShot]:
    return [
        NewShot(np.full(DIM, seed, np.float32), b"jpeg" + bytes([seed]) * 300, f"burst {seed}", 0.5, "api", 1.0 + seed)
        for seed in seeds
    ]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.db"


@pytest.fixture
def gallery(path):
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        gallery.add("mug", shots(1, 2))
        gallery.add("cup", shots(3))
        yield gallery


@pytest.mark.parametrize("same_gallery", [True, False])
def test_a_left_over_write_ahead_log_is_not_mixed_into_a_file_that_was_copied_over(
    gallery, path, tmp_path, same_gallery
):
    crashed = tmp_path / "crashed" / "shop.db"
    crashed.parent.mkdir()
    older = tmp_path / "older.db"
    if same_gallery:
        gallery._file.wipe()
        shutil.copy(path, older)  # as a person copies a file that is at rest
    else:
        with open_gallery(older, fingerprint=MODEL, dim=DIM) as other:
            other.add("bowl", shots(7, 8))
    gallery.add("later", shots(20))
    gallery._file.wipe()
    gallery.add("latest", shots(21))  # only this is in the WAL
    for end in ("", "-wal"):
        shutil.copy(f"{path}{end}", f"{crashed}{end}")
    shutil.copy(older, crashed)
    with open_gallery(crashed, fingerprint=MODEL, dim=DIM) as mixed:
        assert (mixed.state, mixed.check()) == ("ok", ())
        assert list(mixed.classes) == (["mug", "cup"] if same_gallery else ["bowl"])
    assert (crashed.parent / "shop.db.set-aside-1").exists()


def test_the_write_ahead_log_of_a_killed_program_is_used(gallery, path, tmp_path):
    for step in range(4):
        if step % 2:
            gallery._file.wipe()
        gallery.add(f"class {step}", shots(30 + step))
        folder = tmp_path / f"killed {step}"
        folder.mkdir()
        for end in ("", "-wal"):
            shutil.copy(f"{path}{end}", f"{folder / 'shop.db'}{end}")
        with open_gallery(folder / "shop.db", fingerprint=MODEL, dim=DIM) as again:
            assert list(again.classes) == list(gallery.classes)
            assert again.state == "ok"
        assert not list(folder.glob("*set-aside*"))


def test_the_committed_pages_are_those_that_sqlite_recovers(gallery, path, tmp_path):
    gallery._file.wipe()
    gallery.add("later", shots(20))
    pages = committed_pages(wal_path(path))
    gallery.close()  # SQLite writes the WAL into the file
    data = path.read_bytes()
    assert pages
    assert all(data[4096 * (page - 1) : 4096 * page] == content for page, content in pages.items())


def test_what_follows_a_damaged_frame_is_not_committed(gallery, path):
    gallery._file.wipe()
    gallery.add("later", shots(20))
    wal = wal_path(path)
    data = bytearray(wal.read_bytes())
    data[32 + 24 + 100] ^= 1
    other = path.with_name("other-wal")
    other.write_bytes(data)
    assert committed_pages(other) == {}
    assert committed_pages(path.with_name("absent-wal")) == {}
