"""Whether a gallery can be changed, and why not."""

import sqlite3

import pytest

from runtime.errors import GalleryUnwritable
from runtime.gallery.database import explained
from runtime.gallery.recovery.condition import Condition


def change(said=None):
    def work():
        if said:
            with explained(None, "write to it"):
                raise sqlite3.OperationalError(said)
        return "done"

    return work


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("database or disk is full", "disk full"),
        ("database is locked", "second writer"),
        ("attempt to write a readonly database", "read-only"),
        ("disk I/O error", "disk failing"),
    ],
)
def test_the_state_is_the_reason_of_the_last_failure_until_a_change_succeeds(tmp_path, said, state):
    condition = Condition(tmp_path / "full of locked boxes.db", "ok", lambda: None)
    condition.reserve.keep()
    with pytest.raises(GalleryUnwritable):
        condition.run(change(said), deletes=False)
    assert condition.state == state
    assert condition.run(change(), deletes=False) == "done"
    assert condition.state == "ok"


def test_a_change_that_deletes_is_tried_again_with_the_reserved_space(tmp_path):
    settled = []
    condition = Condition(tmp_path / "shop.db", "ok", lambda: settled.append(condition.reserve.size))
    condition.reserve.keep()

    def work():
        return change("database or disk is full" if condition.reserve.size else None)()

    with pytest.raises(GalleryUnwritable):
        condition.run(work, deletes=False)
    assert condition.run(work, deletes=True) == "done"
    assert settled == [0]
    assert condition.reserve.size


def test_a_gallery_that_cannot_be_written_says_so():
    assert Condition(None, "read-only", lambda: None).state == "read-only"
