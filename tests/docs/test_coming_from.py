"""Every example of docs/coming-from.md runs, where the library of its section is installed."""

import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from paho.mqtt import publish

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "coming-from.md").read_text()
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SECTIONS = re.findall(r"^## (.*)", TEXT, re.MULTILINE)
# The library that a section needs; the others need none beside torch.
LIBRARIES = {
    "supervision": "supervision",
    "Hugging Face datasets": "datasets",
    "timm": "timm",
    "easyfsl": "easyfsl",
    "learn2learn": "learn2learn",
    "anomalib and model_api": "anomalib",
    "FiftyOne": "fiftyone",
}
WITHOUT_TORCH = ("Ultralytics", "FiftyOne", "Teachable Machine", "supervision")
SERVED = "Frigate"  # its example serves until it is stopped


def examples(section):
    """The commands of a section, then its Python, as one program."""
    blocks = BLOCK.findall(TEXT.split(f"\n## {section}\n")[1].split("\n## ")[0])
    code = "\n".join(text for language, text in blocks if language == "python")
    return [*((language, text) for language, text in blocks if language == "sh"), *([("python", code)] if code else [])]


@pytest.mark.torch
@pytest.mark.parametrize("section", [section for section in SECTIONS if section != SERVED])
def test_the_examples_of_a_section_run(section, walk, material, tmp_path):
    pytest.importorskip("edgefs" if section in WITHOUT_TORCH else "torch")
    pytest.importorskip(LIBRARIES.get(section, "edgefs"), reason="pip install 'edgefs[peers]', or see the section")
    assert walk.walk(examples(section), material, tmp_path / "here") > 0


# -- Frigate


class Frigate(BaseHTTPRequestHandler):
    """The two calls of Frigate's API that the example makes."""

    snapshots: ClassVar[dict[str, bytes]] = {}
    named: ClassVar[dict[str, dict]] = {}

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.snapshots[self.path.split("/")[3]])

    def do_POST(self):
        assert self.path.endswith("/sub_label")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.named[self.path.split("/")[3]] = json.loads(body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *words):
        pass


@pytest.fixture
def frigate():
    Frigate.snapshots.clear()
    Frigate.named.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Frigate)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def broker(tmp_path):
    """The port of a real mosquitto."""
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    if not Path(program).exists():
        pytest.skip("a real MQTT broker is needed: apt-get install mosquitto")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = tmp_path / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    with subprocess.Popen([program, "-c", str(settings)], stderr=subprocess.DEVNULL) as running:
        yield port
        running.terminate()


@pytest.mark.torch
def test_the_example_of_frigate_names_what_was_taught_and_nothing_else(frigate, broker, walk, material, tmp_path):
    here = tmp_path / "here"
    walk.walk([("sh", "edgefs enroll minka photos/toy --gallery shop.db\n")], material, here)
    Frigate.snapshots["1.5-known"] = (here / "test-photos/toy/0.jpg").read_bytes()
    Frigate.snapshots["1.6-other"] = (here / "other-photos/retina0.jpg").read_bytes()
    (_, code) = examples(SERVED)[-1]
    assert code.count("http://127.0.0.1:5000") == code.count("1883") == 1
    code = code.replace("http://127.0.0.1:5000", f"http://127.0.0.1:{frigate.server_port}").replace("1883", str(broker))
    environ = walk.environment()
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=here, env=environ, stderr=subprocess.PIPE, text=True
    ) as app:
        deadline = time.monotonic() + 60
        while "1.5-known" not in Frigate.named:
            assert app.poll() is None, app.stderr.read()
            assert time.monotonic() < deadline, "the example named nothing for 60 s"
            for event in ("1.6-other", "1.5-known"):
                payload = {"type": "end", "after": {"id": event, "has_snapshot": True}}
                publish.single("frigate/events", json.dumps(payload), hostname="127.0.0.1", port=broker)
            time.sleep(1)
        app.terminate()
    assert Frigate.named.keys() == {"1.5-known"}
    assert Frigate.named["1.5-known"]["subLabel"] == "minka"
    assert 0 < Frigate.named["1.5-known"]["subLabelScore"] <= 1
