"""Commands over MQTT, without a broker: each is answered once, and nothing that comes can end the app."""

from __future__ import annotations

import json
import threading
import time

import pytest

from runtime.app.outputs import commands
from runtime.app.outputs.commands import LARGEST, UNREADABLE, WAITING, Commands, handler


class Sent:
    """What was published: pairs of id and result."""

    def __init__(self) -> None:
        self.all: list[tuple[str, dict]] = []

    def __call__(self, id_: str, payload: str) -> None:
        self.all.append((id_, json.loads(payload)))

    def wait(self, id_: str) -> dict:
        deadline = time.monotonic() + 20
        while not (found := [result for each, result in self.all if each == id_]):
            assert time.monotonic() < deadline, f"no result of {id_}: {self.all}"
            time.sleep(0.02)
        return found[0]


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def obeying(live, sent):
    obeying = Commands(live.service, sent)
    yield obeying
    obeying.close()


def send(obeying, name: str, **body: object) -> None:
    obeying.take(name, json.dumps(body).encode())


def test_a_thing_is_taught_for_some_seconds_and_its_answer_confirmed(live, obeying, sent):
    send(obeying, "teach", id="1", label="mug", seconds=1)
    done = sent.wait("1")
    assert done["ok"], done
    assert done["what"].endswith("views of mug")
    assert "mug" in live.service.recognizer.gallery.classes
    assert live.service.undo(done["operation"]).startswith("enrolled")
    live.service.redo(done["operation"])
    answer = live.wait(lambda: next((id_ for id_ in range(2000) if live.service.ring.get(id_)), None))
    send(obeying, "confirm", id="2", answer=answer, label="cup")
    assert sent.wait("2") == {"ok": True, "what": "confirmed cup", "operation": sent.wait("2")["operation"]}
    send(obeying, "rate", id="3", rate=0.1)
    assert sent.wait("3")["ok"]
    assert live.service.recognizer.stranger_rate == 0.1


def test_a_command_that_comes_twice_is_obeyed_once_and_answered_twice(live, obeying, sent):
    send(obeying, "rate", id="1", rate=0.2)
    sent.wait("1")
    live.service.set_stranger_rate(0.05)
    send(obeying, "rate", id="1", rate=0.2)
    assert [id_ for id_, _ in sent.all] == ["1", "1"]
    assert live.service.recognizer.stranger_rate == 0.05


@pytest.mark.parametrize(
    ("name", "payload", "id_", "says"),
    [
        ("forget", b'{"id": "1", "label": "mug"}', "1", "one of teach, confirm, rate"),
        ("teach", b'{"id": "1"}', "1", "label"),
        ("teach", b'{"id": "1", "label": "mug", "seconds": 31}', "1", "<= 30"),
        ("teach", b'{"id": "1", "label": "mug", "more": 1}', "1", "more"),
        ("teach", b'{"id": "../a", "label": "mug"}', UNREADABLE, "regex"),
        ("teach", b'{"id": "#", "label": "mug"}', UNREADABLE, "regex"),
        ("teach", b'{"id": "a\\n", "label": "mug"}', UNREADABLE, "regex"),
        ("rate", b'{"id": "1", "rate": 2}', "1", "<= 1"),
        ("rate", b'{"id": "1", "rate": NaN}', UNREADABLE, "must be as"),
        ("rate", b"", UNREADABLE, "must be as"),
        ("rate", b"\xff\xfe", UNREADABLE, "must be as"),
        ("rate", b"[" * 4000, UNREADABLE, "must be as"),
        ("rate", b'{"id": "1"' + b" " * LARGEST, UNREADABLE, "bytes"),
    ],
)
def test_what_is_not_a_command_is_answered_by_an_error(live, obeying, sent, name, payload, id_, says):
    obeying.take(name, payload)
    ((found, result),) = sent.all
    assert (found, result["ok"], result["error"]) == (id_, False, "BadCommand")
    assert says in result["what"]


def test_what_cannot_be_done_now_is_answered_by_an_error(live, obeying, sent):
    send(obeying, "confirm", id="1", answer=10**9)
    assert sent.wait("1")["error"] == "AnswerExpired"
    send(obeying, "teach", id="2", label="mug", camera="nowhere")
    assert "must be one of fake camera" in sent.wait("2")["what"]
    live.service.start_teaching("0", "cap")
    send(obeying, "teach", id="3", label="mug", seconds=0.2)
    assert "taught already" in sent.wait("3")["what"]
    assert live.service.camera("0").teaching, "the session of the other is not touched"
    live.service.worker("0").cancel_teaching()
    send(obeying, "teach", id="4", label="\u0000", seconds=0.2)
    assert sent.wait("4")["error"] in ("BadCommand", "InvalidLabel")


def test_a_session_that_somebody_else_replaces_is_not_stored(live, obeying, sent):
    send(obeying, "teach", id="1", label="mug", seconds=1)
    live.wait(lambda: live.service.camera("0").teaching)
    live.service.start_teaching("0", "cap")
    assert "somebody else" in sent.wait("1")["what"]
    assert live.service.camera("0").teaching
    assert not live.service.recognizer.gallery.classes


def test_too_many_are_refused_and_the_end_of_the_app_stores_nothing(live, obeying, sent):
    for number in range(WAITING + 3):
        send(obeying, "teach", id=str(number), label="mug", seconds=30)
    assert [result for _, result in sent.all if "may wait" in result["what"]]
    live.wait(lambda: live.service.camera("0").teaching)
    obeying.close()
    assert not live.service.camera("0").teaching
    assert "the app ends" in sent.wait("0")["what"]


def test_an_error_that_nobody_expected_is_answered_without_details(live, obeying, sent, monkeypatch):
    monkeypatch.setattr(live.service, "set_stranger_rate", lambda _: 1 / 0)
    send(obeying, "rate", id="1", rate=0.1)
    assert sent.wait("1") == {
        "ok": False,
        "what": "The command failed; see the log of the device.",
        "error": "InternalError",
    }
    monkeypatch.undo()
    send(obeying, "rate", id="2", rate=0.1)
    assert sent.wait("2")["ok"], "the next command is obeyed"


def test_a_command_that_the_broker_kept_is_ignored(live, obeying, sent):
    for id_, retain in (("old", True), ("new", False)):
        body = {"topic": "edgefs/test/command/rate", "payload": b'{"id": "%s", "rate": 0.3}' % id_.encode()}
        handler(obeying)(None, None, type("Message", (), body | {"retain": retain}))
    sent.wait("new")
    assert [id_ for id_, _ in sent.all] == ["new"]


def test_results_that_are_remembered_are_bounded(live, obeying, sent, monkeypatch):
    monkeypatch.setattr(commands, "REMEMBERED", 3)
    for number in range(8):
        send(obeying, "rate", id=str(number), rate=0.1)
        sent.wait(str(number))
    assert len(obeying._results) <= 4
    assert threading.active_count() < 50
