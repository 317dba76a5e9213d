"""An hour on a disk that another program fills again and again: recognition goes on, and what is said is true."""

from __future__ import annotations

import logging

import cv2
import pytest

from runtime.app.visits import log, tracker

WORKS = {"forget", "undo", "remove a shot", "forget and undo"}  # on a full disk too


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(log, "WRITE_S", 0.1)
    monkeypatch.setattr(tracker, "UPDATE_S", 0.2)


class Person:
    """Uses the app over HTTP."""

    def __init__(self, live, tiny):
        self.live, self.http, self._tiny = live, live.http, tiny
        self.archive = b""

    def classes(self):
        return {each["label"]: each["shots"] for each in self.http.get("/api/v1/classes").json()}

    def teach(self, label, seed):
        pictures = [cv2.imencode(".png", view)[1].tobytes() for view in self._tiny.views(seed, 6)]
        files = [("pictures", (f"{i}.png", data, "image/png")) for i, data in enumerate(pictures)]
        return self.http.post("/api/v1/classes/shots", params={"label": label}, files=files)

    def forget(self, label):
        return self.http.delete("/api/v1/classes", params={"label": label})

    def undo(self):
        return self.http.post("/api/v1/undo", json={"id": self.http.get("/api/v1/history").json()[0]["id"]})

    def forget_and_undo(self, label):
        assert self.forget(label).status_code == 200
        return self.undo()

    def hold_the_button(self):
        self.http.post("/api/v1/cameras/0/teach", json={})
        session = self.live.service.workers["0"].session
        self.live.wait(lambda: session.teaching and session.teaching.kept)
        response = self.http.post("/api/v1/cameras/0/teach/stop", json={"label": "held"})
        self.http.delete("/api/v1/cameras/0/teach")
        return response

    def shot(self):
        return max(self.http.get("/api/v1/classes").json(), key=lambda each: each["shots"])["crops"][0]

    def answer(self):
        return self.live.service.ring.answers()[-1].id

    def steps(self, minute):
        """Name -> request, one of which is made every minute."""
        labels, http = list(self.classes()), self.http
        kind = {"Content-Type": "application/zip"}
        hook = {"kind": "webhook", "url": "http://127.0.0.1:9/", "secret": "sixteen characters"}
        rule = {"name": "nobody", "label": "no such class", "do": hook}
        return {
            "forget": lambda: self.forget(labels[-1]),
            "upload": lambda: self.teach(f"new {minute}", 40 + minute),
            "forget and undo": lambda: self.forget_and_undo(labels[0]),
            "teach": self.hold_the_button,
            "remove a shot": lambda: http.delete(f"/api/v1/shots/{self.shot()}"),
            "undo": self.undo,
            "rename": lambda: http.patch(
                "/api/v1/classes", params={"label": labels[0]}, json={"label": f"name {minute}"}
            ),
            "merge": lambda: http.post("/api/v1/classes/merge", json={"label": labels[1], "into": labels[0]}),
            "rate": lambda: http.put("/api/v1/stranger-rate", json={"rate": minute / 100}),
            "region": lambda: http.put("/api/v1/cameras/0/region", json={"region": {"x": 0, "y": 0, "w": 1, "h": 1}}),
            "download": lambda: http.get("/api/v1/gallery"),
            "archive": lambda: http.post("/api/v1/gallery", content=self.archive, headers=kind),
            "confirm": lambda: http.post(f"/api/v1/answers/{self.answer()}/confirm", json={"label": labels[0]}),
            "not this": lambda: http.post(f"/api/v1/answers/{self.answer()}/reject"),
            "rule": lambda: http.put("/api/v1/actions", json=rule),
            "source": lambda: http.post("/api/v1/cameras", json={"what": "browser", "name": f"c{minute}"}),
            "visits": lambda: http.post("/api/v1/visits/remove", json={"ids": [minute]}),
        }


@pytest.mark.parametrize("minutes", [17, pytest.param(60, marks=pytest.mark.slow)])
def test_a_scripted_hour_on_a_full_disk(disk, start, tiny, caplog, minutes):
    outcomes: dict[str, set[int]] = {}
    with start(disk.folder) as live:
        person = Person(live, tiny)
        for number in range(30):
            assert person.teach(f"class {number}", number).status_code == 200
        person.archive = live.http.get("/api/v1/gallery").content
        caplog.clear()
        for minute in range(minutes):
            disk.fill()
            before, looked = person.classes(), live.service.workers["0"].session.newest_s
            steps = person.steps(minute)
            name = list(steps)[minute % len(steps)]
            response = steps[name]()
            outcomes.setdefault(name, set()).add(response.status_code)
            assert response.status_code in ((200,) if name in WORKS else (200, 409, 507)), (name, response.text)
            if response.status_code == 507:
                assert "Nothing was changed" in response.text or "rule" in name, response.text
            if response.status_code != 200:
                assert person.classes() == before, (name, response.text)
            disk.fill()
            live.wait(lambda looked=looked: live.service.workers["0"].session.newest_s > looked)
            assert live.http.get("/healthz").json() == {"status": "ok", "gallery": "disk full", "site": None}
            assert live.http.get("/api/v1/state").json()["gallery"]["state"] == "disk full"
            assert 'edgefs_gallery_state{state="disk full"} 1.0' in live.http.get("/api/v1/metrics").text
        after = person.classes()
    assert {name for name, found in outcomes.items() if 507 in found} >= {"archive", "download"}, outcomes
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR and "A request failed" in r.message]
    with start(disk.folder) as live:
        person = Person(live, tiny)
        assert person.classes() == after, "a restart finds what was acknowledged"
        assert person.forget(next(iter(after))).status_code == 200
        disk.empty()
        live.wait(lambda: live.http.get("/healthz").json()["gallery"] == "ok")
        assert person.teach("afterwards", 99).status_code == 200
