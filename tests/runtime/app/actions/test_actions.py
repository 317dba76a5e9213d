"""From an answer to the receiver: delivery, retries, changes of rules, and what the results say."""

from __future__ import annotations

import json
import time

import pytest

from runtime.app.actions import actions as module
from runtime.app.actions.actions import Actions, UnknownRule
from runtime.app.actions.outbox import OutboxUnusable
from runtime.app.actions.rules import Command, Csv, Rule, Webhook
from runtime.app.actions.trigger import Seen
from runtime.errors import OptionError

MUG = Seen("0", "shop", "mug", "sure", 0.8)


@pytest.fixture
def start(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.02)
    opened = []

    def start_(*rules, path=tmp_path / "events.db", **options):
        opened.append(Actions(rules, path, device="bench", camera_name=lambda _: "shop", **options))
        return opened[-1]

    yield start_
    for actions in opened:
        actions.close()


def wait(what):
    limit = time.monotonic() + 15
    while not (found := what()):
        assert time.monotonic() < limit
        time.sleep(0.02)
    return found


def test_what_is_seen_arrives_with_all_its_fields(start, receiver):
    actions = start(Rule("door", Webhook(receiver.url), label="mug"))
    actions.seen(MUG, 0.0)
    wait(lambda: receiver.requests)
    event = json.loads(receiver.requests[0][1])
    known = {
        "device": "bench",
        "rule": "door",
        "camera": "0",
        "camera_name": "shop",
        "label": "mug",
        "certainty": "sure",
    }
    assert event.items() >= (known | {"score": 0.8, "dwell_s": 0.0, "test": False}).items()
    assert receiver.requests[0][0]["webhook-id"] == event["id"]
    assert wait(lambda: actions.results("door"))[0].what == "204 No Content"


def test_a_failed_event_is_sent_again_with_the_same_id(start, receiver):
    receiver.answers = [500, 503]
    actions = start(Rule("door", Webhook(receiver.url)))
    actions.seen(MUG, 0.0)
    wait(lambda: any(result.ok for result in actions.results("door")))
    assert len(receiver.requests) == 3
    assert len({body for _, body in receiver.requests}) == 1
    assert actions.results("door")[0].tries == 3


def test_what_waits_at_the_end_is_delivered_after_the_next_start(start, receiver):
    receiver.answers = [500] * 50
    first = start(Rule("door", Webhook(receiver.url)))
    first.seen(MUG, 0.0)
    wait(lambda: receiver.requests)
    first.close()
    receiver.answers = []
    again = start(Rule("door", Webhook(receiver.url)))
    wait(lambda: any(result.ok for result in again.results("door")))
    assert len({body for _, body in receiver.requests}) == 1


def test_one_rule_that_fails_delays_no_other(start, receiver):
    actions = start(Rule("bad", Command(["/nonexistent"])), Rule("good", Webhook(receiver.url)))
    actions.seen(MUG, 0.0)
    wait(lambda: receiver.requests)
    assert wait(lambda: actions.results("bad"))[0].ok is False
    assert actions.waiting() == {"bad": 1} or actions.waiting() == {"bad": 1, "good": 1}


def test_a_rule_that_was_added_works_at_once_and_after_a_restart(start, receiver):
    actions = start()
    actions.set_rule(Rule("door", Webhook(receiver.url)))
    actions.seen(MUG, 0.0)
    wait(lambda: receiver.requests)
    actions.close()
    again = start()
    assert list(again.rules) == ["door"]
    again.remove_rule("door")
    assert again.rules == {}
    with pytest.raises(UnknownRule):
        again.remove_rule("door")


def test_programs_and_files_cannot_be_named_over_the_network(start):
    actions = start(Rule("door", Csv("a.csv")))
    for do in (Command(["sh"]), Csv("/etc/passwd")):
        with pytest.raises(OptionError, match=r"must be named in the file of --actions"):
            actions.set_rule(Rule("x", do))
    with pytest.raises(OptionError, match="must be changed in the file"):
        actions.set_rule(Rule("door", Webhook("http://a/")))
    with pytest.raises(OptionError, match="must be changed in the file"):
        actions.remove_rule("door")


def test_a_test_is_delivered_at_once_and_says_so(start, receiver):
    receiver.answers = [404]
    actions = start(Rule("door", Webhook(receiver.url), label="mug"))
    assert (actions.test("door").ok, actions.test("door").ok) == (False, True)
    assert [json.loads(body)["test"] for _, body in receiver.requests] == [True, True]
    assert actions.waiting() == {}
    with pytest.raises(UnknownRule):
        actions.test("gate")


def test_without_a_usable_file_events_wait_in_memory_unless_a_file_of_rules_was_given(start, tmp_path, caplog):
    missing = tmp_path / "none" / "events.db"
    assert start(path=missing).durable is False
    assert "wait in memory only" in caplog.text
    with pytest.raises(OutboxUnusable, match="must be stored in"):
        start(path=missing, required=True)
