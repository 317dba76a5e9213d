"""On a disk that is really full, forgetting and undo work, and what is said is true. It needs the right to mount."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.errors import GalleryError, GalleryUnwritable
from runtime.gallery import NewShot, open_gallery
from runtime.gallery.recovery import reserve
from runtime.gallery.recovery.asides import write_aside

DIM = 64
MODEL = "a" * 64
SECRET = b"a picture that must be deleted " * 1000


def shots(seed: int, count: int = 10, crop: bytes = b"") -> list[NewShot]:
    dice = np.random.default_rng(seed)
    return [
        NewShot(dice.standard_normal(DIM).astype(np.float32), crop or dice.bytes(30_000), "b", 0.5, "camera 0", 1e9)
        for _ in range(count)
    ]


@pytest.fixture
def gallery(disk):
    with open_gallery(disk.folder / "shop.db", fingerprint=MODEL, dim=DIM) as gallery:
        for number in range(8):
            gallery.add(f"class {number}", shots(number))
        gallery.add("secret", shots(99, crop=SECRET))
        yield gallery


def test_everything_that_deletes_works_while_another_program_takes_every_byte(disk, gallery):
    steps = [
        lambda: gallery.forget("class 0"),
        gallery.undo,
        lambda: gallery.remove_shot(int(gallery.classes["class 1"].ids[0])),
        lambda: gallery.forget("class 2"),
        lambda: gallery.set_undo_minutes(0),
        lambda: gallery.forget("class 3"),
        lambda: gallery.forget("class 4", now=True),
        lambda: gallery.set_undo_minutes(30),
    ]
    for _ in range(3):
        for step in steps:
            disk.fill()
            before = gallery.classes
            with pytest.raises(GalleryUnwritable, match=r"full.*Nothing was changed"):
                gallery.add("new", shots(50))
            assert gallery.classes is before
            assert gallery.state == "disk full"
            step()
            disk.fill()
            assert gallery.state == "disk full"
        disk.empty()
        gallery.refresh()
        assert gallery.state == "ok"
        for number in (2, 3, 4):
            gallery.add(f"class {number}", shots(number))
    assert not gallery.check()


def test_an_enrolment_of_100_shots_can_be_undone(disk, gallery):
    gallery.add("many", shots(5, 100))
    disk.fill()
    gallery.undo()
    assert "many" not in gallery.classes


def test_what_is_forgotten_now_leaves_no_byte(disk, gallery):
    gallery.backup(disk.folder / "backup.db")
    write_aside(gallery)
    embedding = gallery.classes["secret"].embeddings[0].tobytes()
    disk.fill()
    purged = gallery.forget("secret", now=True), gallery.purge(now=True)
    assert purged[1].wiped
    for file in disk.folder.iterdir():
        data = file.read_bytes()
        assert SECRET[:500] not in data, file
        assert embedding not in data, file


def test_without_the_reserve_forgetting_would_fail(disk, gallery, monkeypatch):
    monkeypatch.setattr(reserve, "RESERVE_BYTES", 0)
    (disk.folder / "shop.db.reserve").unlink()
    gallery._file.wipe()
    disk.fill()
    with pytest.raises(GalleryUnwritable, match="full"):
        gallery.forget("class 0")


def test_a_gallery_opens_on_a_full_disk_and_can_be_changed(disk, gallery):
    gallery.close()
    disk.fill()
    with open_gallery(disk.folder / "shop.db", fingerprint=MODEL) as again:
        assert len(again.classes) == 9
        assert again.state == "disk full"
        with pytest.raises(GalleryError):
            again.add("new", shots(50))
        again.forget("secret", now=True)
        assert "secret" not in again.classes
