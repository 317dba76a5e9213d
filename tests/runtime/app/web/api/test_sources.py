"""Sources by the API: added, renamed, removed, and the WebSocket of a browser's camera."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from runtime.camera import devices
from runtime.opencv import encode_jpeg


@pytest.fixture
def clip(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(3):
        cv2.imwrite(str(folder / f"{i}.png"), np.full((40, 60, 3), 40 * i, np.uint8))
    return folder


def names(live):
    return {camera["id"]: camera["name"] for camera in live.http.get("/api/v1/cameras").json()}


def add(live, **body):
    return live.http.post("/api/v1/cameras", json=body)


def test_a_source_is_added_named_and_removed_while_the_others_run(live, clip):
    camera = add(live, what=str(clip), name="Photos").raise_for_status().json()
    live.wait(lambda: live.service.camera(camera["id"]).state == "live")
    assert live.http.patch(f"/api/v1/cameras/{camera['id']}", json={"name": "Table"}).json()["name"] == "Table"
    assert names(live) == {"0": "fake camera", camera["id"]: "Table"}
    assert live.http.delete(f"/api/v1/cameras/{camera['id']}").json()["what"] == "removed Table"
    assert names(live) == {"0": "fake camera"}
    assert live.http.delete(f"/api/v1/cameras/{camera['id']}").status_code == 404
    live.wait(lambda: live.service.camera("0").state == "live")


def test_a_pipeline_and_a_name_that_is_taken_are_refused(live, clip):
    assert add(live, what="videotestsrc ! appsink").status_code == 422
    camera = add(live, what=str(clip)).json()
    answer = live.http.patch(f"/api/v1/cameras/{camera['id']}", json={"name": "fake camera"})
    assert answer.status_code == 422
    assert "must be its own" in answer.json()["error"]["message"]


def test_a_region_stays_with_a_camera_that_is_renamed(live, clip):
    camera = add(live, what=str(clip)).json()["id"]
    region = {"x": 0.1, "y": 0.1, "w": 0.5, "h": 0.5}
    live.http.put(f"/api/v1/cameras/{camera}/region", json={"region": region}).raise_for_status()
    live.http.patch(f"/api/v1/cameras/{camera}", json={"name": "Table"}).raise_for_status()
    assert live.http.get("/api/v1/cameras").json()[1]["region"] == region


def test_connected_cameras_are_listed_and_one_that_is_absent_has_no_picture(live, monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "SYSFS", tmp_path)
    assert isinstance(live.http.get("/api/v1/devices").json(), list)
    assert live.http.get("/api/v1/devices/99/picture").status_code == 404


def frames_of(live, camera):
    return connect(f"ws://127.0.0.1:{live.port}/api/v1/cameras/{camera}/frames", proxy=None)


def test_pictures_over_the_websocket_are_answered_and_each_is_asked_for(live):
    camera = add(live, what="browser", name="phone").json()["id"]
    with frames_of(live, camera) as socket:
        for grey in range(20):
            assert socket.recv(5) == "next"
            socket.send(encode_jpeg(np.full((48, 64, 3), 10 * grey, np.uint8), 90))
        live.wait(lambda: live.service.camera(camera).state == "live")
        assert live.service.camera(camera).width == 64
        with pytest.raises(InvalidStatus):  # a second browser
            frames_of(live, camera).recv(5)
    live.wait(lambda: live.service.camera(camera).state in ("missing", "reconnecting"))


def test_only_a_browsers_camera_takes_pictures(live):
    with pytest.raises(InvalidStatus):
        frames_of(live, "0").recv(5)
