"""The space that is kept free beside a gallery."""

import os

import pytest

from runtime.gallery.recovery import reserve
from runtime.gallery.recovery.reserve import RESERVE_BYTES, STEP, Reserve


@pytest.fixture
def kept(tmp_path):
    kept = Reserve(tmp_path / "shop.db")
    kept.keep()
    return kept


def test_the_space_is_really_allocated_and_is_free_while_it_is_lent(kept, tmp_path):
    file = tmp_path / "shop.db.reserve"
    assert file.stat().st_blocks * 512 >= RESERVE_BYTES
    assert not kept.scarce
    with kept.lent():
        assert not file.exists()
        assert kept.scarce
    assert kept.size == RESERVE_BYTES


def test_at_most_half_of_what_is_free_is_taken_and_the_state_says_that_it_is_scarce(tmp_path, monkeypatch):
    monkeypatch.setattr(reserve, "_free", lambda _: 10 * STEP)
    kept = Reserve(tmp_path / "shop.db")
    kept.keep()
    assert kept.size == 5 * STEP
    assert kept.scarce


def test_a_disk_that_refuses_is_no_error(kept, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    assert kept.can_grow()
    assert kept.size == RESERVE_BYTES
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    assert not kept.can_grow()
    with kept.lent():
        pass
    assert kept.size == 0


def test_a_gallery_in_memory_reserves_nothing():
    kept = Reserve(None)
    kept.keep()
    with kept.lent():
        assert (kept.size, kept.scarce, kept.can_grow()) == (0, False, False)
