"""`edgefs live` as a process: errors at the start, how it stops, access control, and its outputs besides the page."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import cv2
import httpx
import numpy as np
import psutil
import pytest

from runtime.models import default_bundle
from runtime.recognizer import Recognizer

ROOT = Path(__file__).parents[2]
WAIT_S = 60  # for a process on a busy machine


class App:
    """A running `edgefs live`. said: what it wrote to stderr until it was ready."""

    def __init__(self, process: subprocess.Popen, said: str) -> None:
        self.process, self.said = process, said
        self.url = re.search(r"edgefs live: (http://\S+)/", said)[1]
        self.port = int(self.url.rpartition(":")[2])
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}/api/v1", timeout=20)

    def state(self) -> dict:
        return self.http.get("/state").raise_for_status().json()

    def wait(self, what, timeout_s: float = WAIT_S):
        deadline = time.monotonic() + timeout_s
        while not (found := what()):
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.05)
        return found

    def camera(self, state: str, camera: int = 0) -> dict:
        """Wait until a camera has a state; returns it."""
        return self.wait(lambda: (c := self.state()["cameras"][camera])["state"] == state and c)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "edgefs.cli", "live", *map(str, arguments)]


@contextmanager
def app(tmp_path: Path, *arguments: object, gallery: Path | None = None):
    fixed = ["--gallery", gallery or tmp_path / "gallery.db", "--threads", 1]
    port = [] if "--port" in arguments else ["--port", 0]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    process = subprocess.Popen(
        command(*fixed, *port, *arguments),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    said, live = "", None
    try:
        while "edgefs live: " not in said:
            line = process.stderr.readline()
            assert line, f"it ended: {said}"
            said += line
        yield (live := App(process, said))
    finally:
        if live is not None:
            live.http.close()
        process.kill()
        process.wait()
        process.stderr.close()


def run(tmp_path: Path, *arguments: object) -> subprocess.CompletedProcess:
    fixed = ["--gallery", tmp_path / "gallery.db"]
    windowless = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    return subprocess.run(
        command(*fixed, *arguments), cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S, env=windowless
    )


@pytest.fixture
def clip(tiny, tmp_path) -> Path:
    """Two seconds of one thing, then two of nothing like it."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 15, (320, 240))
    ramp = np.repeat(np.linspace(60, 180, 320)[None, :, None], 240, axis=0).repeat(3, axis=2).astype(np.uint8)
    for frame in [*tiny.views(1, 30), *[ramp] * 30]:
        writer.write(frame)
    writer.release()
    return path


# -- something is wrong


def test_without_a_camera_the_page_says_so_and_what_to_do(tmp_path):
    with app(tmp_path, "--source", 97) as live:
        camera = live.camera("missing")
        assert "/dev/video97" in camera["message"]
        assert "edgefs doctor" in camera["message"]
        assert httpx.get(live.url).status_code == 200, "the page is there"


def test_a_wrong_url_is_shown_without_its_password(tmp_path):
    url = "rtsp://admin:hunter2@127.0.0.1:9/cam"
    with app(tmp_path, "--source", url, "--log", tmp_path / "live.log") as live:
        camera = live.camera("missing")
        assert "Connection refused" in camera["message"]
        assert "hunter2" not in json.dumps(live.state())
        assert "hunter2" not in live.said + (tmp_path / "live.log").read_text()


def test_a_file_that_is_not_there_is_named(tmp_path):
    with app(tmp_path, "--source", "no-such.mp4") as live:
        assert "no-such.mp4" in live.camera("missing")["message"]


def test_a_busy_port_is_said_at_once_with_what_to_do(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(tmp_path, "--port", port)
    assert done.returncode == 1
    assert f"127.0.0.1:{port} must be free" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--mqtt", "ftp://x"], "The MQTT broker must be like mqtt://"),
        (["--mqtt", "@nothing"], "--mqtt @nothing must be a file with one value a line"),
        (["--source", "@nothing"], "--source @nothing must be a file with one value a line"),
        (["--gallery", __file__], "must be a sound edgefs gallery"),
        (["--bundle", "nothing.edgefs"], "nothing.edgefs"),
        (["--host", "192.0.2.1"], "must be free to listen on"),
        (["--log", "/proc/nothing/x"], "--log"),
        (["--window"], "--window needs a"),
        (["--users", __file__], 'till = "viewer"'),
        (["--mqtt-commands"], "--mqtt-commands needs a broker"),
    ],
)
def test_what_cannot_work_is_said_in_one_sentence(tmp_path, arguments, says):
    done = run(tmp_path, "--port", 0, *arguments)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("missing", ["starlette", "paho"])
def test_without_the_extra_its_install_line_is_printed_and_help_works_all_the_same(missing):
    code = f"import sys; sys.modules[{missing!r}] = None; from edgefs.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, "live"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'edgefs[app]'" in done.stderr
    assert "Traceback" not in done.stderr
    done = subprocess.run(
        [sys.executable, "-c", code, "live", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0


def test_a_gallery_of_another_model_is_offered_to_be_embedded_again(tmp_path, tiny, tiny_bundle, clip):
    gallery = tmp_path / "old.db"
    with Recognizer(tiny_bundle, gallery=gallery, engine="onnxruntime") as old:
        shots = len(old.enroll("mug", tiny.views(1, 6)).accepted)
    with app(tmp_path, "--source", clip, gallery=gallery) as live:
        mismatch = live.state()["gallery"]["mismatch"]
        assert mismatch["shots"] == shots
        refused = live.http.post("/cameras/0/teach", json={"label": "cap"})
        assert (refused.status_code, refused.json()["error"]["type"]) == (409, "GalleryMismatch")
        assert live.http.post("/gallery/reembed").status_code == 200
        live.wait(lambda: live.state()["gallery"]["mismatch"] is None)
        assert [(c["label"], c["shots"]) for c in live.state()["classes"]] == [("mug", shots)]
        assert live.http.post("/gallery/reembed").status_code == 409
        assert live.http.post("/cameras/0/teach", json={"label": "cap"}).status_code == 200


def test_a_picture_that_is_a_bomb_is_refused_before_it_is_decoded(tmp_path, clip):
    bomb = cv2.imencode(".png", np.zeros((9000, 9000), np.uint8))[1].tobytes()
    assert len(bomb) < 200_000
    with app(tmp_path, "--source", clip) as live:
        live.camera("live")
        process = psutil.Process(live.process.pid)
        before = process.memory_info().rss
        for _ in range(3):
            answer = live.http.post("/recognize", content=bomb, headers={"Content-Type": "image/png"})
            assert (answer.status_code, answer.json()["error"]["type"]) == (422, "FrameError")
        assert process.memory_info().rss - before < 100e6, "81 million pixels would be 243 MB"


# -- how it stops


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly_while_people_watch(tmp_path, clip, number):
    with app(tmp_path, "--source", clip, "--source", "rtsp://127.0.0.1:9/cam") as live:
        live.camera("live")
        with live.http.stream("GET", "/cameras/0/preview") as preview:
            next(preview.iter_bytes())
            children = psutil.Process(live.process.pid).children(recursive=True)
            began = time.monotonic()
            live.process.send_signal(number)
            assert live.process.wait(WAIT_S) == 0
            assert time.monotonic() - began < 10
        assert "Traceback" not in live.process.stderr.read()
        assert not psutil.wait_procs(children, timeout=3)[1]


# -- who may use it


def test_bound_elsewhere_it_prints_a_token_once_and_asks_for_it(tmp_path, clip):
    with app(tmp_path, "--source", clip, "--host", "0.0.0.0") as live:
        token = re.search(r"access token, shown this once: (\S+)", live.said)[1]
        assert live.http.get("/state").status_code == 401
        assert live.http.get("/state", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    with app(tmp_path, "--source", clip, "--host", "0.0.0.0") as live:
        assert token not in live.said
        assert "--new-token" in live.said
        assert live.http.get("/state", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    kept = [path.read_text() for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert kept
    assert not any(token in text for text in kept)


def test_each_user_gets_a_token_once_and_a_viewer_may_not_change_anything(tmp_path, clip):
    users = tmp_path / "users.toml"
    users.write_text('anna = "teacher"\ntill = "viewer"\n')
    with app(tmp_path, "--source", clip, "--users", users, "--log", tmp_path / "live.log") as live:
        tokens = dict(re.findall(r"access token of (\w+) \(\w+\), shown this once: (\S+)", live.said))
        assert set(tokens) == {"anna", "till"}
        assert f"link for till: {live.url}/#token={tokens['till']}" in live.said
        assert live.http.get("/state").status_code == 401, (
            "users are asked for, also where only this machine can connect"
        )
        headers = {name: {"Authorization": f"Bearer {token}"} for name, token in tokens.items()}
        assert live.http.get("/state", headers=headers["till"]).status_code == 200
        rate = {"json": {"rate": 0.1}}
        assert live.http.put("/stranger-rate", **rate, headers=headers["till"]).status_code == 403
        assert live.http.put("/stranger-rate", **rate, headers=headers["anna"]).status_code == 200
    said = (tmp_path / "live.log").read_text()
    assert "anna: PUT /api/v1/stranger-rate" in said
    assert "till may only look" in said
    kept = [path.read_text() for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert not any(token in text for text in [*kept, said] for token in tokens.values())
    users.write_text('till = "teacher"\n')
    with app(tmp_path, "--source", clip, "--users", users) as live:
        assert "access token" not in live.said, "it was shown before"
        assert live.http.get("/state", headers=headers["anna"]).status_code == 401, "she was removed"
        assert live.http.put("/stranger-rate", **rate, headers=headers["till"]).status_code == 200


# -- other outputs


def test_headless_it_writes_a_json_line_for_every_change_and_ends_with_its_file(tmp_path, tiny, clip):
    with Recognizer(default_bundle(), gallery=tmp_path / "gallery.db") as recognizer:
        recognizer.enroll("one", tiny.views(1, 8, start=40))
    done = run(tmp_path, "--headless", "--source", clip)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert "one" in [line["stable"] for line in lines if line["type"] == "answer"]
    assert [line["state"] for line in lines if line["type"] == "camera"][-1] == "ended"


def test_headless_a_mistyped_file_ends_it_with_an_error(tmp_path):
    done = run(tmp_path, "--headless", "--source", "no-such.mp4")
    assert done.returncode == 1
    assert "no-such.mp4" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["state"] == "missing"


@pytest.fixture
def broker(tmp_path):
    """A real mosquitto on a free port; start and stop at will. Give start lines of its configuration."""
    if shutil.which("mosquitto") is None and not Path("/usr/sbin/mosquitto").exists():
        pytest.skip("a real MQTT broker is needed: apt-get install mosquitto")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []

    def start(*lines: str) -> int:
        configuration = "\n".join([f"listener {port} 127.0.0.1", *(lines or ["allow_anonymous true"])])
        (tmp_path / "mosquitto.conf").write_text(f"user root\n{configuration}\n")
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        started.append(subprocess.Popen([program, "-c", str(tmp_path / "mosquitto.conf")], stderr=subprocess.DEVNULL))
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return port
            time.sleep(0.05)
        raise AssertionError("mosquitto did not start")

    def stop() -> None:
        started[-1].kill()
        started[-1].wait()

    yield start, stop
    for process in started:
        process.kill()
        process.wait()


class Subscriber:
    """Everything the broker says."""

    def __init__(self, port: int, user: str | None = None) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.topics: dict[str, str] = {}
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _c, _d, message: self.topics.update({message.topic: message.payload.decode()})
        if user is not None:
            self._client.username_pw_set(user, user)
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("#")
        self._client.loop_start()

    def wait(self, what):
        deadline = time.monotonic() + WAIT_S
        while not (found := [value for topic, value in self.topics.items() if what(topic, value)]):
            assert time.monotonic() < deadline, f"it did not come: {self.topics}"
            time.sleep(0.05)
        return found[0]

    def publish(self, topic: str, payload: object, *, retain: bool = False) -> None:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        self._client.publish(topic, text, qos=1, retain=retain).wait_for_publish(10)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def test_mqtt_tells_home_assistant_what_is_seen_and_survives_its_broker(tmp_path, tiny, clip, broker):
    start, stop = broker
    port = start()
    with Recognizer(default_bundle(), gallery=tmp_path / "gallery.db") as recognizer:
        recognizer.enroll("one", tiny.views(1, 8, start=40))
    with app(tmp_path, "--source", clip, "--mqtt", f"mqtt://127.0.0.1:{port}") as live:
        seen = Subscriber(port)
        config = json.loads(seen.wait(lambda topic, _: topic.startswith("homeassistant/sensor/edgefs_")))
        assert seen.wait(lambda topic, value: topic == config["availability_topic"] and value == "online")
        seen.wait(lambda topic, value: topic == config["state_topic"] and value == "one")
        seen.wait(lambda topic, value: topic == config["state_topic"] and value == "unknown")
        assert json.loads(seen.wait(lambda topic, _: topic == config["json_attributes_topic"]))["camera"] == "0"
        seen.close()
        stop()
        time.sleep(0.5)
        start()  # it has no retained topics: everything must be published again
        seen = Subscriber(port)
        seen.wait(lambda topic, value: topic == config["availability_topic"] and value == "online")
        seen.wait(lambda topic, value: topic == config["state_topic"] and value == "one")
        live.process.kill()
        seen.wait(lambda topic, value: topic == config["availability_topic"] and value == "offline")
        seen.close()


def password_file(tmp_path: Path, *users: str) -> Path:
    """A file of users, each with their name as password."""
    path = tmp_path / "passwords"
    path.touch()
    for user in users:
        subprocess.run(["mosquitto_passwd", "-b", str(path), user, user], check=True, capture_output=True)
    return path


def test_mqtt_commands_teach_confirm_and_set_the_rate_through_a_broker_with_a_password(tmp_path, clip, broker):
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("a broker with passwords is needed: apt-get install mosquitto")
    start, _ = broker
    port = start("allow_anonymous false", f"password_file {password_file(tmp_path, 'shop', 'home')}")
    url = f"mqtt://shop:shop@127.0.0.1:{port}"
    with app(tmp_path, "--source", clip, "--mqtt", url, "--mqtt-commands") as live:
        home = Subscriber(port, "home")
        home.wait(lambda topic, value: topic.endswith("/available") and value == "online")
        device = next(topic for topic in home.topics if topic.endswith("/available")).rpartition("/")[0]

        def ask(name: str, **body: object) -> dict:
            home.publish(f"{device}/command/{name}", body)
            return json.loads(home.wait(lambda topic, _: topic == f"{device}/result/{body['id']}"))

        live.camera("live")
        taught = ask("teach", id="t1", label="one", seconds=1.5)
        assert taught["ok"], taught
        assert [each["label"] for each in live.state()["classes"]] == ["one"]
        assert live.http.post("/undo", json={"id": taught["operation"]}).status_code == 200
        assert ask("teach", id="t2", label="one", camera="0", seconds=1)["ok"]
        seen = json.loads(home.wait(lambda topic, _: topic == f"{device}/0/attributes"))
        assert ask("confirm", id="c1", answer=seen["id"], label="two")["ok"]
        assert ask("rate", id="r1", rate=0.1)["ok"]
        assert live.state()["stranger_rate"] == 0.1
        assert ask("forget", id="f1", label="one")["error"] == "BadCommand"
        for broken in ("", "[" * 5000, "{", '{"id": 1}', "null"):
            home.topics.pop(f"{device}/result/unreadable", None)
            home.publish(f"{device}/command/rate", broken)
            home.wait(lambda topic, _: topic == f"{device}/result/unreadable")
        home.publish(f"{device}/command/rate", {"id": "r2", "rate": 0.3}, retain=True)
        home.wait(lambda topic, _: topic == f"{device}/result/r2")
        live.http.put("/stranger-rate", json={"rate": 0.05})
        assert live.state()["stranger_rate"] == 0.05
        assert live.process.poll() is None
    with app(tmp_path, "--source", clip, "--mqtt", url, "--mqtt-commands") as live:
        live.camera("live")
        time.sleep(1)
        assert live.state()["stranger_rate"] == 0.05, "the command that the broker kept is from an earlier time"
    with app(tmp_path, "--source", clip, "--mqtt", url) as live:
        live.camera("live")
        home.publish(f"{device}/command/rate", {"id": "r3", "rate": 0.2})
        time.sleep(1)
        assert live.state()["stranger_rate"] == 0.05, "commands are off unless asked for"
        home.close()
