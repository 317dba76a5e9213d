"""Which copies, models and databases are opened, and why others are not."""

from __future__ import annotations

import time

import numpy as np
import pytest

from runtime.errors import (
    GalleryMismatch,
    GalleryMissing,
    GalleryUnwritable,
    OptionError,
    SiteUnavailable,
)
from runtime.fleet.database import SiteDatabase, init
from runtime.fleet.events import Event, EventKey
from runtime.fleet.opening import open_fleet
from runtime.gallery import NewShot

pytestmark = pytest.mark.fleet
MODEL = "f" * 64


def shot(seed: int, crop: bytes | None = b"jpeg") -> NewShot:
    row = np.random.default_rng(seed).standard_normal(8).astype(np.float32)
    return NewShot(row / np.linalg.norm(row), crop and crop + bytes([seed % 256]), "burst", 1.0, "test", 1e9)


def until(condition, timeout_s: float = 8.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def test_a_copy_belongs_to_one_program_one_device_and_one_site(site, device, postgres):
    device("a")
    with pytest.raises(GalleryUnwritable, match="another one has it"):
        device("a")
    b = device("b")
    copy = b.path
    b.close()
    with pytest.raises(OptionError, match="it belongs to 'b'"):
        open_fleet(f"{site}?device=c&copy={copy}", fingerprint=MODEL, dim=8)
    other = postgres.database()
    init(other)
    moved = device("b", url=other)
    until(lambda: moved.status().problem)
    assert "another one" in moved.status().problem


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
