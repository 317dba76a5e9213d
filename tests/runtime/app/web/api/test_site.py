"""How a device stands with its site, and the conflicts of its gallery, by the API; without a database."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import websockets.sync.client as ws

from runtime.fleet.events import Event, EventKey
from runtime.fleet.opening import open_fleet
from runtime.fleet.sync import SyncState
from runtime.gallery import NewShot

CONFLICTS, TAKE_BACK = "/api/v1/site/conflicts", "/api/v1/site/conflicts/take-back"
FORGOTTEN = {"origin": "till/1", "n": 1}


@pytest.fixture
def gallery(live, tiny, tiny_bundle, tmp_path, monkeypatch):
    """The copy of a device that renamed what the till had forgotten, in place of the gallery of the app."""
    recognizer = live.service.recognizer
    rows = [recognizer.recognize(frame).embedding for frame in tiny.views(1, 3)]
    url = f"postgresql://camera1:secret@db/shop?copy={tmp_path}/site.db"
    with open_fleet(url, fingerprint=tiny_bundle.fingerprint, dim=len(rows[0]), connect=False) as gallery:
        replica = gallery._replica
        replica.role = "teacher"
        gallery.add("mug", [NewShot(row, None, "burst", 1.0, "test", 0.0) for row in rows])
        replica.confirm([replace(replica.timeline.unsent[0], seq=1)])
        gallery.rename("mug", "cup")
        forgot = Event(EventKey("till/1", 1), "forget", {"label": "mug"}, 1, "forgot 'mug' (3 shots)", 5.0, 2)
        replica.confirm([forgot])
        state, nothing = SyncState(connected=True), lambda *_: None
        gallery.sync = SimpleNamespace(state=state, wake=nothing, wait=nothing, stop=nothing)
        monkeypatch.setattr(recognizer, "gallery", gallery)
        yield gallery


def site_of(live):
    return live.http.get("/api/v1/state").json()["gallery"]["site"]


def metrics_of(live):
    lines = live.http.get("/api/v1/metrics").text.splitlines()
    return dict(line.split() for line in lines if line.startswith("edgefs_site_"))


def test_a_gallery_that_is_a_file_has_no_site(live):
    assert site_of(live) is None
    assert live.http.get("/healthz").json() == {"status": "ok", "gallery": "ok", "site": None}
    assert metrics_of(live) == {}
    for answer in (live.http.get(CONFLICTS), live.http.post(TAKE_BACK, json=FORGOTTEN)):
        assert answer.status_code == 404
        assert "it is a file of this device" in answer.json()["error"]["message"]


def test_state_health_and_metrics_say_how_the_device_stands_with_its_site(live, gallery):
    assert site_of(live) == {
        "address": "postgresql://camera1@db/shop",
        "connected": True,
        "problem": None,
        "unsent": 1,
        "crops_to_come": 0,
        "conflicts": 1,
        "role": "teacher",
    }
    assert live.http.get("/healthz").json()["site"] == "connected"
    assert metrics_of(live) == {
        "edgefs_site_connected": "1.0",
        "edgefs_site_unsent_changes": "1.0",
        "edgefs_site_pictures_to_come": "0.0",
        "edgefs_site_conflicts": "1.0",
    }
    gallery.sync.state.connected, gallery.sync.state.problem = False, "it does not answer"
    assert (site_of(live)["connected"], site_of(live)["problem"]) == (False, "it does not answer")
    assert live.http.get("/healthz").json() == {"status": "ok", "gallery": "ok", "site": "away"}
    assert metrics_of(live)["edgefs_site_connected"] == "0.0"


def test_a_page_is_told_when_the_site_goes_away_though_nothing_else_changed(live, gallery):
    def told(socket) -> bool:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            message = json.loads(socket.recv(timeout=5))
            if message["type"] == "state" and message["gallery"]["site"]["connected"] is gallery.sync.state.connected:
                return True
        return False

    with ws.connect(f"ws://127.0.0.1:{live.port}/api/v1/events") as socket:
        assert told(socket)
        for connected in (False, True, False):  # the first may be told by chance, with the number of viewers
            gallery.sync.state.connected = connected
            assert told(socket)


def test_a_conflict_names_both_sides_and_taking_one_back_lets_the_other_take_effect(live, gallery):
    (conflict,) = live.http.get(CONFLICTS).json()
    assert conflict["text"] == "'mug' was forgotten at one place and could not be changed any more at another"
    lost, won = conflict["changes"]
    assert (lost["device"], lost["what"]) == ("camera1", "renamed 'mug' to 'cup'")
    assert won == FORGOTTEN | {
        "device": "till", "what": "forgot 'mug' (3 shots)", "time_s": 5.0, "can_take_back": True,
    }  # fmt: skip
    done = live.http.post(TAKE_BACK, json=FORGOTTEN)
    assert done.json() == {"what": "undone: forgot 'mug' (3 shots)", "operation": None}
    assert [each["label"] for each in live.http.get("/api/v1/classes").json()] == ["cup"]
    assert (live.http.get(CONFLICTS).json(), site_of(live)["conflicts"]) == ([], 0)


def test_what_is_part_of_no_conflict_cannot_be_taken_back_so_two_people_do_not_take_back_both_sides(live, gallery):
    (conflict,) = live.http.get(CONFLICTS).json()
    sides = [{"origin": side["origin"], "n": side["n"]} for side in conflict["changes"]]
    assert live.http.post(TAKE_BACK, json=sides[1]).status_code == 200
    for late in (sides[0], sides[1], {"origin": "nobody", "n": 7}):
        answer = live.http.post(TAKE_BACK, json=late)
        assert (answer.status_code, answer.json()["error"]["type"]) == (409, "StaleOperation")
    assert [each["label"] for each in live.http.get("/api/v1/classes").json()] == ["cup"]
    assert live.http.post(TAKE_BACK, json={"origin": "", "n": 0}).status_code == 422


@pytest.mark.parametrize(("role", "own"), [("device", True), ("viewer", False), (None, True)])
def test_only_a_login_that_is_a_teacher_takes_back_the_changes_of_others(live, gallery, role, own):
    gallery._replica.role = role
    (conflict,) = live.http.get(CONFLICTS).json()
    assert [side["can_take_back"] for side in conflict["changes"]] == [own, False]
    refused = live.http.post(TAKE_BACK, json=FORGOTTEN)
    assert (refused.status_code, refused.json()["error"]["type"]) == (507, "GalleryUnwritable")
    assert "must be a teacher" in refused.json()["error"]["message"]
    assert len(gallery._replica.timeline.unsent) == 1, "nothing was made that the database would refuse"
