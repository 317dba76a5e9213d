"""What is exchanged, and what is noticed while it is."""

from __future__ import annotations

import psycopg
import pytest

pytestmark = pytest.mark.fleet


def test_a_site_that_was_restored_from_a_backup_is_noticed(site, device, shot, until):
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


def test_a_device_works_without_network_and_sends_what_it_was_taught_later(site, device, shot, until):
    a = device("a", connect=False)
    a.add("mug", [shot(1)])
    assert list(a.classes) == ["mug"]
    a.close()
    b = device("b")
    assert not b.classes
    device("a")
    until(lambda: list(b.classes) == ["mug"])
