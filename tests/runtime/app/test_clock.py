"""Somebody sets the clock by a year while the app runs: nothing changes but labels of time."""

from __future__ import annotations

import time

import cv2
import pytest

from runtime.app.actions.outbox import Outbox
from runtime.app.clock import SET_S, SteadyClock
from runtime.app.visits import log, tracker

YEAR_S = 366 * 86_400


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(log, "WRITE_S", 0.1)
    monkeypatch.setattr(tracker, "UPDATE_S", 0.2)


def set_clock(monkeypatch, by_s):
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + by_s)


def test_the_time_follows_the_wall_clock_only_until_that_is_set(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: 100.0)  # 1970
        clock = SteadyClock()
        assert clock.now_s() == pytest.approx(100, abs=1)
    assert clock.now_s() == pytest.approx(time.time(), abs=1)
    now_s = clock.now_s()
    set_clock(monkeypatch, YEAR_S)
    assert clock.now_s() == pytest.approx(now_s, abs=1)


@pytest.mark.parametrize("by_s", [-YEAR_S, YEAR_S])
def test_nothing_in_the_running_app_depends_on_who_sets_the_clock(start, tiny, tmp_path, monkeypatch, by_s):
    def get(path):
        response = live.http.get(f"/api/v1/{path}")
        assert response.status_code == 200, response.text
        return response.json()

    def teach(label, seed):
        files = [("pictures", cv2.imencode(".png", view)[1].tobytes()) for view in tiny.views(seed, 6)]
        assert live.http.post("/api/v1/classes/shots", params={"label": label}, files=files).status_code == 200

    def without_times():
        state = get("state")
        for name in ("viewers", "inbox", "cameras"):
            del state[name]
        return state

    with start(tmp_path) as live:
        for number, label in enumerate(("lid", "cap", "pen")):
            teach(label, 20 + number)
        live.wait(lambda: get("visits") and get("inbox"))
        live.http.delete("/api/v1/classes", params={"label": "pen"})
        live.wait(lambda: "pen" not in {each["label"] for each in get("visits")})
        state = without_times()
        visits = {each["id"]: each["frames"] for each in get("visits")}
        strangers = {each["id"] for each in get("inbox")}
        frame_s = live.service.workers["0"].session.newest_s
        set_clock(monkeypatch, by_s)
        live.wait(lambda: live.service.workers["0"].session.newest_s > frame_s + 2.5)
        assert without_times() == state
        assert strangers <= {each["id"] for each in get("inbox")}
        after = {each["id"]: each["frames"] for each in get("visits")}
        assert visits.keys() <= after.keys(), "no visit was deleted"
        assert any(after[id_] > frames for id_, frames in visits.items()), "the visit that went on goes on"
        assert len(after) <= len(visits) + 1
        assert live.http.post("/api/v1/undo", json={"id": state["undo"]["id"]}).status_code == 200
        assert {each["label"] for each in get("classes")} == {"lid", "cap", "pen"}


@pytest.mark.parametrize("by_s", [-YEAR_S, YEAR_S])
def test_no_event_is_dropped_because_the_clock_was_set(monkeypatch, by_s, tmp_path):
    outbox = Outbox(tmp_path / "events.db")
    outbox.put("before", "rule", b"{}")
    set_clock(monkeypatch, by_s)
    outbox.put("after", "rule", b"{}")
    outbox.drop_old()
    assert outbox.waiting() == {"rule": 2}
    outbox.close()


def test_an_event_of_1970_is_kept_because_its_age_is_unknown(monkeypatch, tmp_path):
    outbox = Outbox(tmp_path / "events.db")
    with monkeypatch.context() as patch:
        patch.setattr("runtime.app.actions.outbox.now_s", lambda: SET_S / 100)
        outbox.put("early", "rule", b"{}")
    outbox.drop_old()
    assert outbox.waiting() == {"rule": 1}
    outbox.close()
