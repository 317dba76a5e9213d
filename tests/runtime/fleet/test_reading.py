"""What the devices of a site show of each other's changes."""

from __future__ import annotations

import time

import numpy as np
import pytest

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
