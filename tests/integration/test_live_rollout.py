"""`edgefs live --follow` as a process: a bundle that was published runs, and an unsigned one does not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import httpx
import pytest

pytest.importorskip("cryptography")

from runtime.bundle import Bundle
from runtime.fleet.database import init
from runtime.recognizer import Recognizer
from runtime.rollout import publish, reports
from runtime.rollout.opening import open_place
from runtime.signing import make_keys

pytestmark = pytest.mark.fleet
ROOT = Path(__file__).parents[2]
WAIT_S = 60  # for a process on a busy machine


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def address(tmp_path):
    """The address at which the folder `published` is served, by a server that knows neither ranges nor PUT."""
    (tmp_path / "published").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "published")) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(params=["http", "database"])
def places(request, tmp_path):
    """Where to publish, and what a device follows."""
    if request.param == "http":
        return str(tmp_path / "published"), request.getfixturevalue("address")
    site = request.getfixturevalue("site")
    init(site, devices=["camera"], teachers=["till"])
    return site.replace("admin@", "till@"), site.replace("admin@", "camera:secret@")


@pytest.fixture
def key(tmp_path):
    (tmp_path / "keys").mkdir()
    make_keys(tmp_path / "maker.key").rename(tmp_path / "keys/maker.pub")
    return tmp_path / "maker.key"


@pytest.fixture
def things(tiny, tiny_bundle_dir, tmp_path, key):
    """A signed bundle, a gallery of it with three things, and a folder of pictures of one of them."""
    bundle = Bundle.load(tiny_bundle_dir).signed(key).save(tiny_bundle_dir, overwrite=True)
    with Recognizer(bundle, gallery=tmp_path / "shop.db") as rec:
        for seed in range(3):
            rec.enroll(f"thing {seed}", tiny.views(seed, 4))
    (tmp_path / "pictures").mkdir()
    for i, view in enumerate(tiny.views(1, 4, start=9)):
        cv2.imwrite(str(tmp_path / f"pictures/{i}.png"), view)
    return bundle


@contextmanager
def live(tmp_path, bundle, address):
    """The API of a running app, and its log."""
    command = [sys.executable, "-W", "error", "-m", "edgefs.cli", "live", "--port", "0", "--threads", "1"]
    command += ["--bundle", bundle.path, "--gallery", tmp_path / "shop.db", "--source", tmp_path / "pictures"]
    command += ["--follow", address, "--trusted-keys", tmp_path / "keys", "--log", tmp_path / "live.log"]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            found = None
            while found is None:
                line = process.stderr.readline()
                assert line, "it ended"
                found = re.search(r"edgefs live: (http://\S+)/", line)
            with httpx.Client(base_url=f"{found[1]}/api/v1", timeout=20) as http:
                yield http, tmp_path / "live.log"
        finally:
            process.kill()


def until(what):
    deadline = time.monotonic() + WAIT_S
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return found


def answered(http, count=1):
    """Wait for frames that were answered from now on."""
    total = re.compile(r'edgefs_answers_total\{[^}]*result="known"\} ([\d.]+)')
    known = lambda: sum(map(float, total.findall(http.get("/metrics").text)))  # noqa: E731
    before = known()
    until(lambda: known() >= before + count)


def test_a_bundle_that_is_published_replaces_the_running_one_without_a_restart(tiny, things, key, places, tmp_path):
    new = tiny.bundle(seed=1, dim=48)
    to, address = places
    publish(new, to, key, 1)
    with live(tmp_path, things, address) as (http, _):
        until(lambda: http.get("/state").json()["bundle"]["fingerprint"] == new.fingerprint)
        answered(http, 5)
        classes = {c["label"] for c in http.get("/state").json()["classes"]}
        assert classes == {"thing 0", "thing 1", "thing 2"}
    state = json.loads((tmp_path / "shop.db.rollout/state.json").read_text())
    assert state["current"]["fingerprint"] == new.fingerprint
    with live(tmp_path, things, address) as (http, _):  # and after a restart
        assert http.get("/state").json()["bundle"]["fingerprint"] == new.fingerprint
        answered(http)
    if "postgresql" in to:
        assert [(one["device"], one["bundle"]) for one in reports(open_place(to))] == [("camera", new.name)]
        assert "secret" not in (tmp_path / "live.log").read_text()


def test_a_bundle_of_an_author_who_is_not_trusted_never_runs_and_the_log_says_why(tiny, things, address, tmp_path):
    make_keys(tmp_path / "other.key")
    publish(tiny.bundle(seed=1), str(tmp_path / "published"), tmp_path / "other.key", 1)
    with live(tmp_path, things, address) as (http, log):
        until(lambda: log.exists() and "is kept: " in log.read_text())
        assert "another key has signed it" in log.read_text()
        assert http.get("/state").json()["bundle"]["fingerprint"] == things.fingerprint
        answered(http)
