"""The stored totals are those of the rows after every kind of change."""

import numpy as np
import pytest

from runtime.gallery import NewShot, open_gallery
from runtime.gallery.records import read_total
from runtime.gallery.recovery.totals import ID_BYTES, STATE, TABLES, added_up, count

DIM = 4


def shots(*seeds):
    return [NewShot(np.full(DIM, seed, np.float32), b"jpeg", "b", 0.5, "api", 1.0) for seed in seeds]


CHANGES = [
    lambda g: g.add("mug", shots(1, 2, 3)),
    lambda g: g.add("cup", shots(4)),
    lambda g: g.rename("cup", "bowl"),
    lambda g: g.merge("bowl", "mug"),
    lambda g: g.undo(),
    lambda g: g.redo(),
    lambda g: g.remove_shot(1),
    lambda g: g.add("cup", shots(5)),
    lambda g: g.move_shot(2, "cup"),
    lambda g: g.set_stranger_rate(0.1),
    lambda g: g.set_stranger_rate(0.2),
    lambda g: g.add_unknown_frames(np.ones((300, DIM), np.float32)),
    lambda g: g.replace_embeddings(
        dict.fromkeys(g.stored_ids(), np.ones(DIM, np.float32)), fingerprint="other", dim=DIM
    ),
    lambda g: g.forget("mug"),
    lambda g: g.purge(now=True),
]


def test_every_change_updates_the_totals_and_the_state_id(tmp_path):
    with open_gallery(tmp_path / "shop.db", fingerprint="f", dim=DIM) as gallery:
        db, states = gallery._file.db, []
        for change in CHANGES:
            change(gallery)
            assert {table: read_total(db, table) for table in TABLES} == {table: count(db, table) for table in TABLES}
            states.append(read_total(db, STATE)[1])
        assert len(set(states)) == len(CHANGES)
        before, after = zip(*((s[-2 * ID_BYTES : -ID_BYTES], s[-ID_BYTES:]) for s in states), strict=True)
        assert before[1:] == after[:-1]
        assert gallery.check() == ()


@pytest.mark.parametrize("digests", [[], [b"\xff" * 32] * 3, [None, "x"]])
def test_a_sum_has_32_bytes(digests):
    rows, total = added_up(digests)
    assert (rows, len(total)) == (len(digests), 32)
