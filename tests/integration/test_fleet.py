"""One gallery on several devices, with a real PostgreSQL between them."""

from __future__ import annotations

import time

import numpy as np
import psycopg
import pytest

import edgefs
from runtime.errors import (
    GalleryMismatch,
    GalleryMissing,
    GalleryUnwritable,
    NothingToUndo,
    OptionError,
    SiteUnavailable,
)
from runtime.fleet import replica
from runtime.fleet.database import SiteDatabase, init
from runtime.fleet.events import Event, EventKey
from runtime.fleet.opening import open_fleet
from runtime.gallery import NewShot

pytestmark = pytest.mark.fleet
DIM, MODEL = 8, "f" * 64


def shot(seed: int, crop: bytes | None = b"jpeg") -> NewShot:
    row = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    return NewShot(row / np.linalg.norm(row), crop and crop + bytes([seed % 256]), "burst", 1.0, "test", 1e9)


@pytest.fixture
def device(site, tmp_path):
    opened = []

    def open_device(name: str, url: str = site, **options):
        where = f"{url}?device={name}&copy={tmp_path / name}/gallery.db"
        gallery = open_fleet(where, **{"fingerprint": MODEL, "dim": DIM, **options})
        opened.append(gallery)
        return gallery

    yield open_device
    for gallery in opened:
        gallery.close()


def until(condition, timeout_s: float = 5.0) -> float:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < timeout_s, "it did not happen in time"
        time.sleep(0.01)
    return time.monotonic() - start


def test_what_one_device_is_taught_another_one_names(site, tmp_path, tiny_bundle, tiny):
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 255, (64, 64, 3), np.uint8)
    with (
        edgefs.Recognizer(tiny_bundle, gallery=f"{site}?device=a&copy={tmp_path}/a.db") as a,
        edgefs.Recognizer(tiny_bundle, gallery=f"{site}?device=b&copy={tmp_path}/b.db") as b,
    ):
        assert a.enroll("mug", [frame]).accepted
        until(lambda: b.recognize(frame).label == "mug")


def test_everything_reaches_the_other_device(device):
    a, b = device("a"), device("b")
    ids = a.add("mug", [shot(1), shot(2)])
    a.add("cup", [shot(3)])
    until(lambda: list(b.classes) == ["mug", "cup"])
    assert np.array_equal(a.classes["mug"].embeddings, b.classes["mug"].embeddings)
    until(lambda: b.status().crops_to_come == 0)
    assert b.crop(int(b.classes["mug"].ids[0])) == a.crop(ids[0])
    b.rename("mug", "beaker")
    until(lambda: list(a.classes) == ["beaker", "cup"])
    a.merge("cup", "beaker")
    until(lambda: list(b.classes) == ["beaker"] and len(b.classes["beaker"].ids) == 3)
    assert a.undo() == "merged 'cup' (1 shot) into 'beaker'"
    until(lambda: list(b.classes) == ["beaker", "cup"])
    a.forget("beaker")
    until(lambda: list(b.classes) == ["cup"])
    a.undo()
    until(lambda: len(b.classes.get("beaker").ids if "beaker" in b.classes else ()) == 2)


def files_of(tmp_path, name: str) -> bytes:
    return b"".join(path.read_bytes() for path in (tmp_path / name).iterdir())


def test_a_device_works_without_network_and_sends_what_it_was_taught_later(site, device):
    a = device("a", connect=False)
    a.add("mug", [shot(1)])
    assert list(a.classes) == ["mug"]
    a.close()
    b = device("b")
    assert not b.classes
    device("a")
    until(lambda: list(b.classes) == ["mug"])


def test_forgotten_bytes_leave_a_device_that_was_away_and_its_outbox(site, device, tmp_path):
    secret = NewShot(shot(1).embedding, b"a secret picture" * 100, "burst", 1.0, "test", 1e9)
    a, b = device("a"), device("b")
    a.add("me", [secret])
    until(lambda: b.status().seen == a.status().seen and b.classes and not b.status().crops_to_come)
    b.close()
    b = device("b", connect=False)
    b.add("me too", [NewShot(-secret.embedding, b"another secret" * 100, "burst", 1.0, "test", 1e9)])
    assert b"a secret picture" in files_of(tmp_path, "b")
    a.forget("me", now=True)
    b.forget("me too", now=True)
    b.close()
    assert b"another secret" not in files_of(tmp_path, "b")
    b = device("b")
    until(lambda: not b.classes and b.sync.wait(5.0))
    assert a.sync.wait(5.0)
    for name in "ab":
        assert b"secret" not in files_of(tmp_path, name)
        assert secret.embedding.tobytes() not in files_of(tmp_path, name)
    with psycopg.connect(site) as db:
        assert db.execute("SELECT count(*) FROM edgefs.shots").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM edgefs.events").fetchone() == (6,), "events stay"


def test_what_was_forgotten_is_deleted_when_it_cannot_be_undone_any_more(device, monkeypatch):
    monkeypatch.setattr(replica, "TIDY_S", 0.0)
    a, b = device("a"), device("b")
    a.add("mug", [shot(1)])
    a.forget("mug")
    assert a.sync.wait(5.0)
    assert b.sync.wait(5.0)
    assert len(b.stored_ids()) == 1, "it can come back"
    a.set_undo_minutes(0)
    until(lambda: not a.stored_ids() and not b.stored_ids())
    with pytest.raises(NothingToUndo):
        a.undo()


def test_conflicts_are_listed_and_either_side_can_be_taken_back(site, device):
    a, b = device("a"), device("b")
    a.add("mug", [shot(1)])
    until(lambda: b.classes)
    a.close()
    a = device("a", connect=False)
    a.rename("mug", "cup")
    b.forget("mug")
    assert b.sync.wait(5.0)
    a.close()
    a = device("a")
    until(lambda: not a.classes)
    (conflict,) = a.conflicts()
    assert conflict.text == "'mug' was forgotten at one place and could not be changed any more at another"
    assert a.take_back(conflict.other) == "forgot 'mug' (1 shot)"
    until(lambda: list(b.classes) == ["cup"])
    assert not b.conflicts()


def test_another_model_neither_reads_nor_writes(site, device):
    device("a").add("mug", [shot(1)])
    with pytest.raises(GalleryMismatch, match="neither reads nor writes"):
        device("b", fingerprint="e" * 64)
    stray = device("c", fingerprint="e" * 64, connect=False)
    stray.add("mug", [shot(2)])
    stray.close()
    with pytest.raises(GalleryMismatch, match="neither reads nor writes"):
        device("c", fingerprint="e" * 64)
    database = SiteDatabase(site)
    with pytest.raises(SiteUnavailable, match="an event must be of the model of this site"):
        database.send(Event(EventKey("a/1", 9), "forget", {"label": "mug"}), "e" * 64, {})
    database.close()


def test_a_copy_belongs_to_one_program_one_device_and_one_site(site, device, postgres):
    device("a")
    with pytest.raises(GalleryUnwritable, match="another one has it"):
        device("a")
    b = device("b")
    copy = b.path
    b.close()
    with pytest.raises(OptionError, match="it belongs to 'b'"):
        open_fleet(f"{site}?device=c&copy={copy}", fingerprint=MODEL, dim=DIM)
    other = postgres.database()
    init(other)
    moved = device("b", url=other)
    until(lambda: moved.status().problem)
    assert "another one" in moved.status().problem


def test_a_site_that_was_restored_from_a_backup_is_noticed(site, device):
    a = device("a")
    a.add("mug", [shot(1)])
    assert a.sync.wait(5.0)
    a.close()
    with psycopg.connect(site) as db:
        db.execute("DELETE FROM edgefs.shots")
        db.execute("DELETE FROM edgefs.events")
        db.execute("UPDATE edgefs.counter SET seq = 0")
    a = device("a")
    until(lambda: a.status().problem)
    assert "restored from a backup" in a.status().problem
    assert list(a.classes) == ["mug"], "it goes on with its copy"


def test_a_database_that_is_no_site_is_named(postgres, device):
    empty = postgres.database()
    a = device("a", url=empty)
    assert "edgefs fleet init" in a.status().problem
    with pytest.raises(SiteUnavailable, match="edgefs fleet init"):
        device("b", url=empty, fingerprint=None)
    init(empty)
    with pytest.raises(GalleryMissing, match="edgefs enroll"):
        device("b", url=empty, fingerprint=None)


def test_a_new_device_without_a_bundle_takes_the_model_of_the_site(device):
    a = device("a")
    a.add("mug", [shot(1)])
    assert a.sync.wait(5.0)
    b = device("b", fingerprint=None, dim=None)
    assert (b.fingerprint, list(b.classes)) == (MODEL, ["mug"])
