"""Events wait on the disk until they are delivered."""

from __future__ import annotations

import sqlite3

import pytest

from runtime.app.actions import outbox as module
from runtime.app.actions.outbox import Outbox, OutboxUnusable
from runtime.app.actions.rules import Rule, Webhook

RULE = Rule("door", Webhook("http://127.0.0.1:1/"))


@pytest.fixture
def box(tmp_path):
    box = Outbox(tmp_path / "events.db")
    yield box
    box.close()


def test_an_event_waits_until_it_is_delivered_also_after_a_restart(box, tmp_path):
    box.put("a", "door", b"{}")
    box.failed(box.next("door"), "no route")
    again = Outbox(tmp_path / "events.db")
    event = again.next("door")
    assert (event.id, event.body, event.tries) == ("a", b"{}", 1)
    again.delivered(event, "200 OK")
    assert again.next("door") is None
    assert [(result.ok, result.tries, result.what) for result in again.results("door")] == [(True, 2, "200 OK")]
    again.close()


def test_an_event_that_always_fails_does_not_hold_up_the_others(box):
    box.put("bad", "door", b"{}")
    box.put("good", "door", b"{}")
    box.failed(box.next("door"), "refused")
    assert box.next("door").id == "good"


def test_rules_do_not_see_each_others_events(box):
    box.put("a", "door", b"{}")
    assert box.next("gate") is None
    assert box.waiting() == {"door": 1}


def test_too_many_and_too_old_events_are_dropped_and_the_results_say_so(box, monkeypatch):
    monkeypatch.setattr(module, "MAX_PENDING", 2)
    for id_ in "abc":
        box.put(id_, "door", b"{}")
    assert box.next("door").id == "b"
    assert "more than 2 events" in box.results("door")[0].what
    monkeypatch.setattr(module, "MAX_AGE_S", -1)
    box.drop_old()
    assert box.next("door") is None
    assert "three days" in box.results("door")[0].what


def test_only_the_newest_results_are_kept(box, monkeypatch):
    monkeypatch.setattr(module, "KEPT_RESULTS", 2)
    for number in range(4):
        box.tested("door", str(number), "sent", ok=True)
    assert [result.id for result in box.results("door")] == ["3", "2"]


def test_rules_are_stored_and_a_removed_one_leaves_nothing(box):
    box.set_rule("door", RULE)
    box.put("a", "door", b"secret label")
    assert box.rules() == [RULE]
    box.set_rule("door", None)
    assert (box.rules(), box.waiting(), box.results("door")) == ([], {}, [])


def test_another_file_is_refused_and_not_changed(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE mine (x)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(OutboxUnusable, match="another database"):
        Outbox(path)
    assert path.read_bytes() == before
