"""What is exchanged, and what is noticed while it is."""

from __future__ import annotations

import time

import numpy as np
import psycopg
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


def test_a_site_that_was_restored_from_a_backup_is_noticed(site, device):
    a = device("a")
    a.add("mug", [shot(1)])
    assert a.sync.wait(5.0)
    a.close()
    with psycopg.connect(site) as db:
        db.execute("DELETE FROM edgefs.shots")
        db.execute("DELETE FROM edgefs.events")
        db.execute("UPDATE edgefs.counter SET seq = 0")
    a = device("a")
    until(lambda: a.status().problem)
    assert "restored from a backup" in a.status().problem
    assert list(a.classes) == ["mug"], "it goes on with its copy"


def test_a_device_works_without_network_and_sends_what_it_was_taught_later(site, device):
    a = device("a", connect=False)
    a.add("mug", [shot(1)])
    assert list(a.classes) == ["mug"]
    a.close()
    b = device("b")
    assert not b.classes
    device("a")
    until(lambda: list(b.classes) == ["mug"])
