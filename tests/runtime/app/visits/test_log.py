"""The log of a running app: nothing is kept if nobody wants it, and the classes are followed."""

from __future__ import annotations

import time

import numpy as np

from runtime.app.visits import tracker
from runtime.app.visits.log import VisitLog
from runtime.app.visits.tracker import Sight, View


def look(log, label="mug", seconds=0.0):
    view = View(np.ones(4, np.float32), b"jpeg")
    for _ in range(2):
        log.look(Sight("shop", label, "sure", label, 0.8, None, view))
        time.sleep(seconds)


def test_what_goes_on_at_the_end_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(tracker, "MIN_S", 0.0)
    log = VisitLog(tmp_path / "shop.db", "model")
    log.start()
    look(log)
    log.close()
    again = VisitLog(tmp_path / "shop.db", "model")
    assert [visit.label for visit in again.store.visits()] == ["mug"]
    again.close()


def test_zero_days_keep_nothing_and_make_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tracker, "MIN_S", 0.0)
    log = VisitLog(tmp_path / "shop.db", "model", days=0)
    log.start()
    look(log)
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_a_forgotten_class_is_forgotten_while_its_visit_goes_on(tiny, tiny_bundle, monkeypatch):
    from runtime.recognizer import Recognizer

    monkeypatch.setattr(tracker, "MIN_S", 0.0)
    with Recognizer(tiny_bundle, engine="onnxruntime", threads=1) as recognizer:
        recognizer.enroll("mug", tiny.views(0, 4))
        log = VisitLog(None, "model")
        log.follow(recognizer.gallery)
        look(log)
        log._flush()
        assert len(log.store.visits()) == 1
        recognizer.forget("mug")
        log.follow(recognizer.gallery)
        log._flush(last=True)
        assert log.store.visits() == []
        log.close()


def test_a_disk_that_refuses_is_logged_and_visits_stay_in_memory(tmp_path, caplog):
    log = VisitLog(tmp_path / "none" / "shop.db", "model")
    assert "kept in memory only" in caplog.text
    log.close()


def test_a_visit_belongs_to_one_model_when_the_bundle_is_swapped(tmp_path, monkeypatch):
    monkeypatch.setattr(tracker, "MIN_S", 0.0)
    log = VisitLog(tmp_path / "shop.db", "old")
    log.start()
    look(log)
    log.follow_model("new")
    look(log, "cup")
    log.close()
    again = VisitLog(tmp_path / "shop.db", "new")
    assert {visit.label: visit.model for visit in again.store.visits()} == {"mug": "old", "cup": "new"}
    again.close()
