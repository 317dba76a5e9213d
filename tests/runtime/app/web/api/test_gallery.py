"""The gallery as a whole by the API: deletion for good, its delay, and repair."""

from __future__ import annotations

import sqlite3

import cv2
import pytest


@pytest.fixture
def taught(live, tiny):
    for label, seed in (("mug", 20), ("cap", 21)):
        files = [("pictures", cv2.imencode(".png", view)[1].tobytes()) for view in tiny.views(seed, 6)]
        assert live.http.post("/api/v1/classes/shots", params={"label": label}, files=files).status_code == 200
    return live


def gallery_of(live):
    return live.http.get("/api/v1/state").json()["gallery"]


def test_what_was_forgotten_is_deleted_at_once_on_demand(taught):
    path = taught.service.recognizer.gallery.path
    taught.http.delete("/api/v1/classes", params={"label": "cap"})
    assert b"cap" in path.read_bytes() + path.with_name(f"{path.name}-wal").read_bytes()
    done = taught.http.post("/api/v1/gallery/purge").json()
    assert "deleted 1 classes" in done["what"]
    assert b"\x00cap" not in path.read_bytes()
    assert path.with_name(f"{path.name}-wal").stat().st_size == 0
    assert taught.http.get("/api/v1/state").json()["undo"] is None


def test_one_class_is_deleted_for_good_at_once_and_the_others_stay(taught):
    path = taught.service.recognizer.gallery.path
    done = taught.http.delete("/api/v1/classes", params={"label": "cap", "now": "true"}).json()
    assert done["what"].startswith("deleted 1 classes and ")
    assert done["operation"] is None, "there is nothing to undo"
    assert b"\x00cap" not in path.read_bytes()
    assert path.with_name(f"{path.name}-wal").stat().st_size == 0
    assert [each["label"] for each in taught.http.get("/api/v1/classes").json()] == ["mug"]
    assert taught.http.get("/api/v1/state").json()["undo"] is None
    again = taught.http.delete("/api/v1/classes", params={"label": "cap", "now": "true"})
    assert (again.status_code, again.json()["error"]["type"]) == (404, "UnknownLabel")


def test_the_minutes_of_undo_are_set_and_shown(taught):
    assert gallery_of(taught)["undo_minutes"] == 30
    assert taught.http.put("/api/v1/gallery/undo-minutes", json={"minutes": 5}).status_code == 200
    assert gallery_of(taught)["undo_minutes"] == 5
    for wrong in (-1, 10**9, "5"):
        assert taught.http.put("/api/v1/gallery/undo-minutes", json={"minutes": wrong}).status_code == 422


def test_a_damaged_gallery_is_repaired_while_the_app_runs(taught):
    with sqlite3.connect(taught.service.recognizer.gallery.path) as db:
        db.execute("UPDATE shots SET embedding = zeroblob(128) WHERE id = 2")
    db.close()
    taught.wait(lambda: gallery_of(taught)["state"] == "damaged")
    assert taught.http.delete("/api/v1/classes", params={"label": "cap"}).status_code == 507
    done = taught.http.post("/api/v1/gallery/repair").json()
    assert "the damaged file is kept as gallery.db.set-aside-1" in done["what"]
    assert gallery_of(taught)["state"] == "ok"
    assert [each["label"] for each in taught.http.get("/api/v1/classes").json()] == ["mug", "cap"]
    assert taught.http.delete("/api/v1/classes", params={"label": "cap"}).status_code == 200
