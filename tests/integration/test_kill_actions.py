"""Every event of an action arrives, whatever kill -9 interrupts and however badly the receiver answers."""

from __future__ import annotations

import http.server
import json
import os
import random
import signal
import time
import traceback
from collections import Counter
from pathlib import Path

import pytest

from runtime.app.actions import actions as actions_module
from runtime.app.actions import webhook
from runtime.app.actions.actions import Actions
from runtime.app.actions.rules import Rule, Webhook
from runtime.app.actions.trigger import Seen

ID = 32  # bytes of an event's id
STALL_S = 0.2  # longer than the deadline of a request


def serve(received: Path, bad: Path, port_pipe: int) -> None:
    """Record every body. While the file `bad` is there, refuse, stall, or answer without reading the body."""
    dice = random.Random(7)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            mood = dice.choice(["ok", "refuse", "stall", "close", "late", "late"]) if bad.exists() else "ok"
            if mood == "close":
                return  # no answer, and nothing was read
            body = self.rfile.read(int(self.headers["content-length"]))
            if mood in ("ok", "late"):
                with received.open("ab") as file:
                    file.write(body + b"\n")
            if mood in ("stall", "late"):  # "late": it was received, but the sender cannot know that
                time.sleep(STALL_S)
            self.send_response(500 if mood == "refuse" else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # killed clients close their connections
    os.write(port_pipe, server.server_port.to_bytes(4, "big"))
    server.serve_forever()


def fire_until_killed(path: Path, port: int, begin: int, acks: int) -> None:
    actions_module.FIRST_PAUSE_S = actions_module.LONGEST_PAUSE_S = 0.01
    post = webhook.post
    actions_module.deliver.__globals__["post"] = lambda *args: post(*args, deadline_s=STALL_S / 2)
    rule = Rule("door", Webhook(f"http://127.0.0.1:{port}/", "sixteen characters"))
    actions = Actions([rule], path, device="bench", camera_name=str)
    put = actions._outbox.put

    def put_and_tell(id_: str, name: str, body: bytes) -> None:
        put(id_, name, body)
        os.write(acks, id_.encode())

    actions._outbox.put = put_and_tell  # type: ignore[method-assign]
    for number in range(begin, begin + 1_000_000):
        actions.seen(Seen("0", "shop", f"thing {number}", "sure"), float(number))
        time.sleep(0.002)


def fork(work, *args) -> int:
    child = os.fork()
    if child == 0:
        try:
            work(*args)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)  # never into pytest's own exit
    return child


def end(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child failed by itself"


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # numpy's threads; the child uses none
@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_every_stored_event_arrives_and_a_duplicate_has_the_same_id(tmp_path, kills):
    path, received, bad = tmp_path / "events.db", tmp_path / "received", tmp_path / "bad"
    dice, stored = random.Random(kills), set()
    bad.touch()
    read_port, write_port = os.pipe()
    server = fork(serve, received, bad, write_port)
    try:
        port = int.from_bytes(os.read(read_port, 4), "big")
        for kill in range(kills):
            acks, child_acks = os.pipe()
            child = fork(fire_until_killed, path, port, kill * 1_000_000, child_acks)
            os.close(child_acks)
            with os.fdopen(acks, "rb") as pipe:
                # Counted in acknowledgements: on a busy machine seconds would only ever hit the opening.
                seen = pipe.read(ID * dice.choice([0, 1, 2, 5, 20]))
                time.sleep(dice.uniform(0, 0.2))
                end(child)
                seen += pipe.read()
            stored |= {seen[i : i + ID].decode() for i in range(0, len(seen), ID)}
        bad.unlink()
        acks, child_acks = os.pipe()
        child = fork(fire_until_killed, path, port, kills * 1_000_000, child_acks)
        limit = time.monotonic() + 120
        while not stored <= (arrived := Counter(event["id"] for event in events(received))).keys():
            assert time.monotonic() < limit, f"{len(stored - arrived.keys())} of {len(stored)} events are lost"
            time.sleep(0.1)
        end(child)
    finally:
        end(server)
    for pipe in (read_port, write_port, acks, child_acks):
        os.close(pipe)
    bodies = {(event["id"], event["label"]) for event in events(received)}
    assert len(stored) >= kills
    assert len({id_ for id_, _ in bodies}) == len(bodies) == len({label for _, label in bodies}), (
        "one id for each event"
    )
    assert max(arrived.values()) > 1, "the bad server should have caused duplicates"
    print(f"{kills} kills, {len(stored)} events, {sum(n > 1 for n in arrived.values())} of them more than once")


def events(received: Path) -> list[dict[str, object]]:
    lines = received.read_bytes().splitlines() if received.exists() else []
    return [json.loads(line) for line in lines]
