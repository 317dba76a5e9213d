"""What was removed is deleted for good, by whom and when."""

from __future__ import annotations

import pytest

from runtime.errors import NothingToUndo
from runtime.fleet import deleting

pytestmark = pytest.mark.fleet


def test_what_was_forgotten_is_deleted_when_it_cannot_be_undone_any_more(device, monkeypatch, shot, until):
    monkeypatch.setattr(deleting, "TIDY_S", 0.0)
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


def test_a_deletion_that_comes_after_an_undo_in_the_order_of_the_site_deletes_nothing(device, shot):
    a, b = device("a"), device("b")
    a.add("mug", [shot(1)])
    a.forget("mug")
    assert a.sync.wait(5.0)
    assert b.sync.wait(5.0)
    b.close()
    b = device("b", connect=False)
    assert b.purge(now=True).shots == 1
    b.close()
    a.undo()
    assert a.sync.wait(5.0)
    b, c = device("b"), device("c")
    for gallery in (b, c):
        assert gallery.sync.wait(5.0)
        assert [len(shots.ids) for shots in gallery.classes.values()] == [1]
