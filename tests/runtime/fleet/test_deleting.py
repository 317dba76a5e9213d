"""What was removed is deleted for good, by whom and when."""

from __future__ import annotations

import time

import numpy as np
import pytest

from runtime.errors import (
    NothingToUndo,
)
from runtime.fleet import deleting
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


def test_what_was_forgotten_is_deleted_when_it_cannot_be_undone_any_more(device, monkeypatch):
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
