"""Backups are complete and verified; a write-ahead log of another file is never mixed into a gallery."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.errors import GalleryCorrupt, GalleryMissing, GalleryUnwritable
from runtime.gallery import NewShot, open_gallery, restore_gallery

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


def test_a_backup_of_a_gallery_in_use_can_be_restored(gallery, path, tmp_path):
    gallery.forget("cup")
    gallery.backup(tmp_path / "backup.db")
    gallery.add("late", shots(4))
    assert b"cup" not in (tmp_path / "backup.db").read_bytes(), "a backup holds nothing that was forgotten"
    with pytest.raises(GalleryUnwritable, match="another program has it open"):
        _in_another_process(restore_gallery, path, tmp_path / "backup.db")
    gallery.close()
    kept = restore_gallery(path, tmp_path / "backup.db")
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as again:
        assert (again.state, list(again.classes), again.check()) == ("ok", ["mug"], ())
        assert again.history() == []
        assert again.crop(1) == shots(1)[0].crop
    with open_gallery(kept, fingerprint=MODEL, dim=DIM) as old:
        assert list(old.classes) == ["mug", "late"]


def _in_another_process(work, *args):
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *args).result()


def test_a_damaged_gallery_and_a_damaged_backup_are_not_copied(gallery, path, tmp_path):
    backup = tmp_path / "backup.db"
    gallery.backup(backup)
    good = backup.read_bytes()
    data = bytearray(good)
    data[data.index(shots(3)[0].crop) + 50] ^= 1
    backup.write_bytes(data)
    gallery.close()
    before = path.read_bytes()
    with pytest.raises(GalleryCorrupt, match="the crop of this shot is damaged"):
        restore_gallery(path, backup)
    assert path.read_bytes() == before
    with pytest.raises(GalleryMissing):
        restore_gallery(path, tmp_path / "absent.db")
    path.write_bytes(data)
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as damaged, pytest.raises(GalleryCorrupt):
        damaged.backup(backup)
    assert [file.name for file in tmp_path.iterdir() if "part" in file.name] == []
