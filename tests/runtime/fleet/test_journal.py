"""The events that a device knows are on its disk, and belong to one process."""

import sqlite3
from dataclasses import replace

import pytest

from runtime.errors import GalleryCorrupt, GalleryUnwritable
from runtime.fleet.events import Event, EventKey, ShotKey
from runtime.fleet.journal import Journal

EVENT = Event(EventKey("a/1", 1), "teach", {"shots": [["mug", False, 2]]}, 3, "enrolled 2 shots of 'mug'", 1.5)
OTHER = Event(EventKey("b/1", 1), "forget", {"label": "mug"}, 0, "forgot 'mug'", 2.5, seq=4)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "site.db-events"


@pytest.fixture
def opened(path):
    open_ones = []

    def open_again():
        while open_ones:
            open_ones.pop().close()
        open_ones.append(Journal(path))
        return open_ones[-1]

    yield open_again
    open_ones.pop().close()


def test_an_event_is_unsent_until_the_site_has_given_it_a_place(opened):
    journal = opened()
    journal.append(EVENT, {7: ShotKey("a/1", 1, 0)}, 10.0)
    journal = opened()
    assert journal.events() == ([], [EVENT])
    assert journal.next_n("a/1") == 2
    journal.confirm([OTHER, replace(EVENT, seq=5)], 11.0)
    journal = opened()
    assert journal.events() == ([OTHER, replace(EVENT, seq=5)], [])
    assert {key: stored_s for key, (_, stored_s) in journal.ids().items()} == {EVENT.key: 10.0, OTHER.key: 11.0}


def test_an_event_that_is_confirmed_again_stays_as_it_is(opened):
    journal = opened()
    journal.confirm([OTHER], 1.0)
    journal.confirm([replace(OTHER, seq=9)], 2.0)
    assert journal.events() == ([OTHER], [])


def test_the_shots_of_the_gallery_are_known_by_their_key(opened):
    journal = opened()
    keys = {1: ShotKey("a/1", 1, 0), 2: ShotKey("a/1", 1, 1)}
    journal.map(keys, {2: True})
    assert opened().shots() == {1: (keys[1], False), 2: (keys[2], True)}
    journal = opened()
    journal.arrived([2])
    journal.unmap([1])
    assert journal.shots() == {2: (keys[2], False)}


def test_only_an_unsent_event_can_be_dropped(opened):
    journal = opened()
    journal.append(EVENT, {}, 1.0)
    journal.confirm([OTHER], 1.0)
    for event in (EVENT, OTHER):
        journal.drop(event.key)
    assert journal.events() == ([OTHER], [])


def test_a_second_process_is_refused_with_what_to_do(opened, path):
    opened()
    with pytest.raises(GalleryUnwritable, match=r"another one has it.*\?copy=FILE"):
        Journal(path)


def test_another_file_and_a_damaged_one_are_refused_and_not_changed(path):
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE other (id)")
    before = path.read_bytes()
    with pytest.raises(GalleryCorrupt, match="it is another file"):
        Journal(path)
    assert path.read_bytes() == before
    path.write_bytes(b"no database at all" * 500)
    with pytest.raises(GalleryCorrupt, match="SQLite says"):
        Journal(path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(GalleryUnwritable, match="must be writable"):
        Journal(tmp_path / "file" / "site.db-events")
