"""Every way of delivery, with real files, processes and, where one is installed, a broker."""

from __future__ import annotations

import csv
import json
import socket
import sys
import time

import pytest

from runtime.app.actions import senders
from runtime.app.actions.rules import Channels, Command, Csv, Mqtt
from runtime.app.actions.senders import COLUMNS, deliver, sentence
from runtime.app.actions.webhook import NotDelivered

EVENT = {
    "id": "e1", "time": "2026-11-28T10:00:00+00:00", "device": "bench", "rule": "door", "camera": "0",
    "camera_name": "shop", "label": "=1+1", "certainty": "sure", "score": 0.8, "dwell_s": 1.0, "test": False,
}  # fmt: skip


def test_a_csv_file_gets_its_head_once_and_no_formulas(tmp_path):
    do = Csv(str(tmp_path / "seen.csv"))
    deliver(do, EVENT)
    deliver(do, EVENT | {"id": "e2", "score": None, "label": None})
    rows = list(csv.reader((tmp_path / "seen.csv").read_text().splitlines()))
    assert rows[0] == list(COLUMNS)
    assert [row[:4] for row in rows[1:]] == [["e1", EVENT["time"], "shop", "'=1+1"], ["e2", EVENT["time"], "shop", ""]]


def test_a_line_that_a_crash_left_incomplete_does_not_spoil_the_next(tmp_path):
    path = tmp_path / "seen.csv"
    path.write_text("id,time\ne0,20")
    deliver(Csv(str(path)), EVENT)
    assert path.read_text().splitlines()[1:] == [
        "e0,20",
        "e1,2026-11-28T10:00:00+00:00,shop,'=1+1,sure,0.8,1.0,door,False",
    ]


def test_a_csv_file_that_cannot_be_written_is_a_failure(tmp_path):
    with pytest.raises(NotDelivered, match="it cannot be written"):
        deliver(Csv(str(tmp_path / "none" / "seen.csv")), EVENT)


def test_a_program_reads_the_event_and_gets_its_arguments_as_they_are(tmp_path):
    code = "import sys, json; open(sys.argv[1], 'w').write(json.dumps([sys.argv[2:], json.load(sys.stdin)]))"
    arguments = ["$(touch x)", "{label}"]
    deliver(Command([sys.executable, "-c", code, str(tmp_path / "out"), *arguments]), EVENT)
    assert json.loads((tmp_path / "out").read_text()) == [arguments, EVENT]


def test_a_program_that_fails_or_is_not_there_says_why():
    with pytest.raises(NotDelivered, match="status 3: no bell"):
        deliver(Command([sys.executable, "-c", "import sys; print('no bell', file=sys.stderr); sys.exit(3)"]), EVENT)
    with pytest.raises(NotDelivered, match="it cannot be started"):
        deliver(Command(["/nonexistent/program"]), EVENT)


def test_a_program_that_does_not_end_is_killed_with_its_children(tmp_path, monkeypatch):
    monkeypatch.setattr(senders, "DEADLINE_S", 0.5)
    late = tmp_path / "late"
    code = f"import subprocess, time; subprocess.Popen(['sh', '-c', 'sleep 2; touch {late}']); time.sleep(60)"
    with pytest.raises(NotDelivered, match="did not end"):
        deliver(Command([sys.executable, "-c", code]), EVENT)
    time.sleep(2.5)
    assert not late.exists()


def test_a_broker_that_is_not_there_is_a_failure():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(NotDelivered, match="refused"):
        deliver(Mqtt(f"mqtt://127.0.0.1:{port}", "seen"), EVENT)


def test_channels_need_apprise_and_an_address_that_it_knows():
    with pytest.raises(NotDelivered, match=r"Apprise (must be installed|does not know)"):
        deliver(Channels(["nonsense://x"]), EVENT)


def test_the_sentence_for_people_names_camera_and_class():
    assert sentence(EVENT | {"label": "mug"}) == "shop has seen mug."
    assert sentence(EVENT | {"label": "mug", "certainty": "maybe"}) == "shop may have seen mug."
    assert sentence(EVENT | {"label": None, "certainty": "unknown"}) == "shop has seen something unknown."
