"""Visits by the API, on a running app: they are kept, reviewed, exported, and forgotten with their class."""

from __future__ import annotations

import csv

import pytest

from runtime.app.visits import log, tracker


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(log, "WRITE_S", 0.1)
    monkeypatch.setattr(tracker, "UPDATE_S", 0.2)


def ok(response):
    assert response.status_code == 200, response.text
    return response.json()


def teach(live, label="mug"):
    ok(live.http.post("/api/v1/cameras/0/teach", json={"label": label}))
    session = live.service.workers["0"].session
    live.wait(lambda: session.teaching and len(session.teaching.kept) >= 3)
    return ok(live.http.post("/api/v1/cameras/0/teach/stop", json={"label": label}))


def visits(live, **filters):
    return ok(live.http.get("/api/v1/visits", params=filters))


def visited(live, **filters):
    return live.wait(lambda: visits(live, **filters))


def say(live, ids, say, label=None):
    return ok(live.http.post("/api/v1/visits/review", json={"ids": ids, "say": say, "label": label}))


def test_what_was_taught_is_one_visit_with_a_picture_and_is_forgotten_with_its_class(live):
    teach(live)
    visit = visited(live, label="mug")[0]
    assert (visit["camera"], visit["certainty"], visit["suggestion"]) == ("fake camera", "sure", "mug")
    assert len(visits(live, label="mug")) == 1
    assert live.http.get(f"/api/v1/visits/{visit['id']}/crop").content[:2] == b"\xff\xd8"
    hours = ok(live.http.get("/api/v1/visits/statistics"))
    assert [(hour["label"], hour["visits"]) for hour in hours] == [("mug", 1)]
    ok(live.http.delete("/api/v1/classes?label=mug"))
    assert visits(live, label="mug") == []
    assert live.http.get(f"/api/v1/visits/{visit['id']}/crop").status_code == 404


def test_not_this_shows_what_it_would_change_before_it_is_said(live):
    teach(live)
    visit = visited(live, label="mug")[0]
    shown = ok(live.http.post(f"/api/v1/visits/{visit['id']}/not/preview"))
    assert shown["of"] >= len(shown["changes"]) > 0
    assert {change["before"] for change in shown["changes"]} <= {"mug", "mug?"}
    assert visits(live, label="mug")[0]["review"] is None, "nothing was changed"
    assert live.http.post("/api/v1/visits/999/not/preview").status_code == 404


def test_a_renamed_class_keeps_its_visits(live):
    teach(live)
    visited(live, label="mug")
    ok(live.http.patch("/api/v1/classes?label=mug", json={"label": "glass"}))
    assert visits(live, label="mug") == []
    assert visits(live, label="glass")


def test_what_a_person_says_changes_the_gallery_and_undo_takes_both_back(live):
    teach(live)
    id_ = visited(live, label="mug")[0]["id"]
    said = say(live, [id_], "is", "cup")
    assert said["visits"] == 1
    assert len(said["operations"]) == 1
    assert {each["label"] for each in ok(live.http.get("/api/v1/classes"))} == {"mug", "cup"}
    assert id_ in [each["id"] for each in visits(live, label="cup")]
    ok(live.http.post("/api/v1/undo", json={"id": said["operations"][0]}))
    assert [each["label"] for each in ok(live.http.get("/api/v1/classes"))] == ["mug"]


def test_not_this_and_stranger_are_negative_examples(live):
    teach(live)
    id_ = visited(live, label="mug")[0]["id"]
    for word in ("not", "stranger"):
        assert len(say(live, [id_], word)["operations"]) == 1
        assert [each["review"] for each in visits(live) if each["id"] == id_] == [word]
    assert len(live.service.recognizer.gallery.classes["mug"].negatives) == 2
    assert len(live.service.recognizer.gallery.unknown_frames) >= 1


def test_visits_are_exported_and_removed(live):
    teach(live)
    id_ = visited(live, label="mug")[0]["id"]
    response = live.http.get("/api/v1/visits/export.csv", params={"label": "mug"})
    rows = list(csv.DictReader(response.text.splitlines()))
    assert (rows[0]["id"], rows[0]["label"], rows[0]["camera"]) == (str(id_), "mug", "fake camera")
    assert ok(live.http.get("/api/v1/visits/export.json"))[0]["certainty"] == "sure"
    assert ok(live.http.post("/api/v1/visits/remove", json={"ids": [id_]}))["what"] == "removed 1 visit"
    assert live.http.get(f"/api/v1/visits/{id_}/crop").status_code == 404


@pytest.mark.parametrize("query", ["certainty=perhaps", "before=x", "limit=-1", "before=9999999999999999999"])
def test_a_filter_that_means_nothing_is_refused(shared_live, query):
    assert shared_live.http.get(f"/api/v1/visits?{query}").status_code == 422


def test_what_is_missing_is_said(shared_live):
    for body in ({"ids": []}, {"ids": [1], "say": "perhaps"}, {"ids": [0], "say": "yes"}):
        assert shared_live.http.post("/api/v1/visits/review", json=body).status_code == 422
    assert shared_live.http.post("/api/v1/visits/review", json={"ids": [1], "say": "is"}).status_code == 409
