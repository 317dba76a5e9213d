"""An undo names the change it takes back, and redo makes it again."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.errors import NothingToUndo, StaleOperation
from runtime.gallery import NewShot, open_gallery


def shots(count: int, seed: int = 0) -> list[NewShot]:
    rows = np.random.default_rng(seed).standard_normal((count, 3)).astype(np.float32)
    return [NewShot(row, b"jpeg", f"burst {seed}", 0.5, "api", 1.0) for row in rows]


@pytest.fixture
def gallery(tmp_path):
    with open_gallery(tmp_path / "shop.db", fingerprint="f", dim=3) as gallery:
        gallery.add("mug", shots(3))
        gallery.add("cup", shots(2, 1))
        yield gallery


def snapshot(gallery):
    records = {label: list(map(repr, gallery.records(label))) for label in gallery.classes}
    return records, [gallery.crop(id_) for shots in gallery.classes.values() for id_ in shots.ids], gallery.history()


@pytest.mark.parametrize(
    "change",
    [
        lambda g: g.add("lid", shots(4, 2)),
        lambda g: g.add("mug", shots(1, 2), negative=True),
        lambda g: g.forget("mug"),
        lambda g: g.rename("mug", "bowl"),
        lambda g: g.merge("mug", into="cup"),
        lambda g: g.remove_shot(1),
        lambda g: g.move_shot(1, "cup"),
    ],
    ids=["enrol", "reject", "forget", "rename", "merge", "remove a shot", "move a shot"],
)
def test_redo_restores_every_kind_of_change_exactly(gallery, change):
    change(gallery)
    after = snapshot(gallery)
    what = gallery.undo()
    assert gallery.undone()[0].what == what
    assert gallery.redo() == what
    assert snapshot(gallery) == after
    assert gallery.undone() == []
    assert not gallery.damaged


def test_several_changes_are_redone_in_the_order_in_which_they_were_made(gallery):
    gallery.rename("mug", "bowl")
    gallery.merge("cup", into="bowl")
    after = snapshot(gallery)
    undone = [gallery.undo() for _ in range(4)]
    assert not gallery.classes
    assert [gallery.redo() for _ in range(4)] == undone[::-1]
    assert snapshot(gallery) == after


def test_a_new_change_clears_what_could_be_redone(gallery):
    gallery.undo()
    gallery.add("lid", shots(1, 3))
    assert gallery.undone() == []
    with pytest.raises(NothingToUndo, match="a new change clears"):
        gallery.redo()


def test_a_change_of_another_process_clears_what_could_be_redone(gallery):
    gallery.undo()
    with open_gallery(gallery.path, fingerprint="f", dim=3) as other:
        other.undo()
    assert gallery.undone() == []
    with pytest.raises(NothingToUndo):
        gallery.redo()
    assert not gallery.classes


def test_an_undo_of_a_change_that_is_not_the_newest_is_refused(gallery):
    gallery.forget("cup")
    forgotten = gallery.last_operation
    gallery.undo(expected=forgotten)
    with pytest.raises(StaleOperation, match=f"Change {forgotten} must be the newest .* enrolled 2 shots of 'cup'"):
        gallery.undo(expected=forgotten)
    assert list(gallery.classes) == ["mug", "cup"]
    with pytest.raises(StaleOperation):
        gallery.redo(expected=forgotten - 1)
    gallery.redo(expected=forgotten)
    assert list(gallery.classes) == ["mug"]
