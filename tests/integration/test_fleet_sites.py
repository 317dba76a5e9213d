"""Two sites that are joined by PostgreSQL's logical replication, as docs/fleet.md describes it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import psycopg
import pytest

from runtime.fleet.database import init
from runtime.fleet.opening import open_fleet
from runtime.gallery import NewShot

pytestmark = pytest.mark.fleet
MODEL = "f" * 64


def until(condition) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def second(postgres):
    server = type(postgres)()
    yield server
    server.stop()


def test_two_sites_share_what_they_are_taught(postgres, second, tmp_path: Path):
    urls = {"north": postgres.database(), "south": second.database()}
    galleries = {}
    for name, url in urls.items():
        init(url)
        where = f"{url}?device={name}.till&copy={tmp_path}/{name}.db"
        galleries[name] = open_fleet(where, fingerprint=MODEL, dim=2)  # the first device sets the model
    north, south = galleries["north"], galleries["south"]
    try:
        north.add("mug", [NewShot(np.array([1, 0], np.float32), b"crop", "burst", 1.0, "test", 1e9)])
        for name, url in urls.items():
            with psycopg.connect(url, autocommit=True) as db:
                only = f"WHERE (origin LIKE '{name}.%')"
                db.execute(f"CREATE PUBLICATION edgefs_{name} FOR TABLE edgefs.events {only}, edgefs.shots {only}")
        for here, there in (("north", "south"), ("south", "north")):
            with psycopg.connect(urls[here], autocommit=True) as db:
                db.execute(
                    f"CREATE SUBSCRIPTION edgefs_from_{there} CONNECTION '{urls[there]}' PUBLICATION edgefs_{there}"
                )
        until(lambda: list(south.classes) == ["mug"])
        south.add("mug", [NewShot(np.array([0, 1], np.float32), b"crop 2", "burst", 1.0, "test", 1e9)])
        south.add("cup", [NewShot(np.array([-1, 0], np.float32), b"crop 3", "burst", 1.0, "test", 1e9)])
        until(lambda: "cup" in north.classes and len(north.classes["mug"].ids) == 2)
        north.forget("cup", now=True)
        until(lambda: list(south.classes) == ["mug"])

        def shots(url: str) -> int:
            with psycopg.connect(url) as db:
                return db.execute("SELECT count(*) FROM edgefs.shots").fetchone()[0]

        until(lambda: [shots(url) for url in urls.values()] == [2, 2])
    finally:
        for gallery in galleries.values():
            gallery.close()
        for here, there in (("north", "south"), ("south", "north")):
            with psycopg.connect(urls[here], autocommit=True) as db:
                db.execute(f"DROP SUBSCRIPTION edgefs_from_{there}")
