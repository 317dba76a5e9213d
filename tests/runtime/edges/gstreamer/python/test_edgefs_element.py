"""The element in real pipelines, run by the Python of the system and by gst-launch-1.0."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

import runtime.edges
from runtime.recognizer import Recognizer

ROOT = Path(__file__).parents[5]
PYTHON = Path("/usr/bin/python3")
PLUGINS = Path(runtime.edges.__path__[0]) / "gstreamer"
PACKAGES = "gstreamer1.0-python3-plugin-loader gstreamer1.0-plugins-good python3-gi gir1.2-gst-plugins-base-1.0"


@pytest.fixture
def shop(tiny, tiny_bundle_dir, tmp_path):
    """A folder with a bundle, a gallery of three things, and six pictures of one of them."""
    with Recognizer(runtime.Bundle.load(tiny_bundle_dir), gallery=tmp_path / "shop.db") as rec:
        for seed in range(3):
            rec.enroll(f"thing {seed}", tiny.views(seed, 4))
    for i, view in enumerate(tiny.views(1, 6, start=9)):
        cv2.imwrite(str(tmp_path / f"{i}.png"), view)
    return tmp_path


@pytest.fixture
def environment(tmp_path):
    """As in a shell in which this Python's virtual environment is activated."""
    version = subprocess.run([PYTHON, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True)
    if version.stdout.strip() != str(sys.version_info[:2]):
        pytest.skip(f"GStreamer's Python must be that of the packages, but is {version.stdout or 'absent'}")
    own = {"VIRTUAL_ENV": sys.prefix, "GST_PLUGIN_PATH": str(PLUGINS), "GST_REGISTRY": str(tmp_path / "registry")}
    return {**os.environ, **own, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def play(environment):
    """Run a pipeline and return what came out of it, in order."""

    def play(pipeline):
        command = [PYTHON, ROOT / "tests/gstreamer_pipeline.py", pipeline]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
        if done.returncode == 77:
            pytest.skip(f"{done.stdout.strip()} Do: apt-get install {PACKAGES}")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return play


def pictures(shop):
    return (
        f"multifilesrc location={shop}/%d.png start-index=0 stop-index=5 caps=image/png,framerate=5/1 ! pngdec ! "
        "videoconvert"
    )


def element(shop):
    return f"edgefs bundle={shop}/tiny.edgefs gallery={shop}/shop.db engine=onnxruntime"


def test_every_buffer_carries_its_answer_and_the_bus_has_it_too(shop, play):
    said = play(f"{pictures(shop)} ! {element(shop)}")
    buffers = [each for each in said if each["kind"] == "buffer"]
    messages = [each for each in said if each["kind"] == "message"]
    assert [each["label"] for each in buffers] == ["thing 1"] * 6
    assert [each["box"] for each in buffers] == [[0, 0, 320, 240]] * 6
    assert [each["pts"] for each in buffers] == [i * 200_000_000 for i in range(6)]
    assert [(each["label"], each["certainty"]) for each in messages] == [("thing 1", "sure")] * 6
    assert all(0.5 < each["score"] <= 1 for each in messages)


def test_rows_that_are_padded_in_memory_and_strangers_are_no_problem(shop, play):
    said = play(f"videotestsrc num-buffers=30 ! videoconvert ! video/x-raw,width=321,height=201 ! {element(shop)}")
    buffers = [each for each in said if each["kind"] == "buffer"]
    assert [each["label"] for each in buffers] == ["unknown"] * 30
    assert {each["bytes"] for each in buffers} == {201 * 964}  # 3 * 321, and one byte to a multiple of four


def test_without_the_element_there_is_no_metadata(shop, play):
    said = play(pictures(shop))
    assert [each["label"] for each in said] == [None] * 6


def test_a_bundle_that_cannot_be_opened_ends_the_pipeline_with_the_reason(shop, play):
    (said,) = play(f"{pictures(shop)} ! edgefs bundle={shop}/absent gallery={shop}/shop.db")
    assert said["kind"] == "error"
    assert "must be a bundle directory or its .zip" in said["text"]


def test_gst_launch_runs_it(shop, environment):
    program = shutil.which("gst-launch-1.0")
    if program is None:
        pytest.skip("Do: apt-get install gstreamer1.0-tools")
    command = [program, "-m", *f"{pictures(shop)} ! {element(shop)} ! fakesink".split()]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    if "no element" in done.stderr:
        pytest.skip(f"{done.stderr.strip()} Do: apt-get install {PACKAGES}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("edgefs, label=(string)") == 6
