"""Shots by the API: listed, and moved to another class."""

from __future__ import annotations


def ok(response):
    assert response.status_code == 200, response.text
    return response.json()


def shots(live, label):
    return ok(live.http.get("/api/v1/classes/shots", params={"label": label}))


def test_shots_are_listed_and_moved_with_their_picture_and_undo_takes_it_back(live, tiny):
    recognizer = live.service.recognizer
    recognizer.enroll("mug", tiny.views(0, 10))
    recognizer.enroll("cup", tiny.views(2, 10))
    before = shots(live, "mug")
    assert before[0]["id"] > before[-1]["id"]
    assert before[0]["crop"] is True
    picture = live.http.get(f"/api/v1/shots/{before[0]['id']}/crop").content
    n_cups = len(shots(live, "cup"))
    ok(live.http.post(f"/api/v1/shots/{before[0]['id']}/move", json={"label": "cup"}))
    assert [each["id"] for each in shots(live, "mug")] == [each["id"] for each in before[1:]]
    moved = shots(live, "cup")[0]
    assert len(shots(live, "cup")) == n_cups + 1
    assert live.http.get(f"/api/v1/shots/{moved['id']}/crop").content == picture
    assert moved["time_s"] == before[0]["time_s"]
    ok(live.http.post("/api/v1/undo", json={"id": ok(live.http.get("/api/v1/state"))["undo"]["id"]}))
    assert shots(live, "mug") == before


def test_what_cannot_be_moved_is_refused_and_nothing_changes(live, tiny):
    live.service.recognizer.enroll("mug", tiny.views(0, 1))
    (only,) = shots(live, "mug")
    assert live.http.post(f"/api/v1/shots/{only['id']}/move", json={"label": "mug"}).status_code == 422
    live.service.recognizer.enroll("mug", tiny.views(0, 10, start=20))
    assert live.http.post(f"/api/v1/shots/{only['id']}/move", json={"label": "none"}).status_code == 422
    assert live.http.post("/api/v1/shots/999/move", json={"label": "mug"}).status_code == 404
    assert len(live.service.recognizer.gallery.history()) == 2
