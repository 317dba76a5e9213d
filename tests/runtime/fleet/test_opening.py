"""Which copies, models and databases are opened, and why others are not."""

from __future__ import annotations

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

pytestmark = pytest.mark.fleet
MODEL = "f" * 64


def test_a_copy_belongs_to_one_program_one_device_and_one_site(site, device, postgres, until):
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


def test_a_new_device_without_a_bundle_takes_the_model_of_the_site(device, shot):
    a = device("a")
    a.add("mug", [shot(1)])
    assert a.sync.wait(5.0)
    b = device("b", fingerprint=None, dim=None)
    assert (b.fingerprint, list(b.classes)) == (MODEL, ["mug"])


def test_another_model_neither_reads_nor_writes(site, device, shot):
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
