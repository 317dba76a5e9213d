"""The main use in a real browser on the real server: `edgefs live` as a process, with cameras that play clips.

Each clip is a camera; what is "in view" is which camera is shown. One set is filmed by the virtual camera, the other is
real clips (shared/data/videos), where they are.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import edgefs
from edgefs.demo.virtual_camera import film
from runtime.camera import open_camera
from runtime.opencv import read_image

expect = pytest.importorskip("playwright.sync_api", reason="a browser is driven by: pip install playwright").expect

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
PATIENCE_MS = 40_000  # CI shares its two cores
FILMED = {"cat": "chelsea.png", "coffee": "coffee.png", "coins": "coins.png"}
GONE = ("net::ERR_", "WebSocket")  # what a browser complains of while the server is restarted
REAL = {"cups": "sam2/02_cups.mp4", "bag": "pysot/bag.avi", "bottle": "intel/bottle-detection.mp4"}


class Live:
    """`edgefs live` as a process of its own."""

    def __init__(self, sources, gallery, *options):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        sources = [option for source in sources for option in ("--source", str(source))]
        self.command = [sys.executable, "-m", "edgefs.cli", "live", *sources, "--gallery", str(gallery),
                        "--port", str(self.port), *options]  # fmt: skip
        self.log = Path(f"{gallery}.log")
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def start(self):
        with self.log.open("w") as file:
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            self.process = subprocess.Popen(self.command, stderr=file, stdout=file, cwd=ROOT, env=environment)
        limit = time.monotonic() + 60
        while "edgefs live: http" not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < limit, self.log.read_text()
            time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        assert self.process.wait(20) == 0, self.log.read_text()


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """Three clips of three seconds by the virtual camera."""
    skimage = pytest.importorskip(
        "skimage", reason="the photographs come from scikit-image: pip install 'edgefs[demo]'"
    )
    photos, folder = Path(skimage.__file__).parent / "data", tmp_path_factory.mktemp("clips")
    for name, file in FILMED.items():
        writer = cv2.VideoWriter(str(folder / f"{name}.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 15, (640, 360))
        for frame in film(read_image(photos / file), 45, np.random.default_rng(1)):
            writer.write(cv2.resize(frame, (640, 360), interpolation=cv2.INTER_AREA))
        writer.release()
    return {name: folder / f"{name}.avi" for name in FILMED}


@pytest.fixture
def clips(request):
    """name -> clip; the last is the stranger. They are real where the real clips are."""
    videos = ROOT.parent / "shared/data/videos"
    if videos.is_dir():
        return {name: videos / file for name, file in REAL.items()}
    return request.getfixturevalue("filmed")


@pytest.fixture
def start(tmp_path):
    """Start a server; all are stopped at the end."""
    servers = []

    def start_(sources, *options, gallery="shop.db"):
        servers.append(Live(sources, tmp_path / gallery, *options))
        return servers[-1]

    yield start_
    for server in servers:
        if server.process.poll() is None:
            server.stop()


@pytest.fixture
def visit(open_page):
    """Open the page of a server."""

    def visit_(server, size="desk", **options):
        page = open_page(size, **options)
        page.set_default_timeout(PATIENCE_MS)
        page.goto(server.url)
        return page

    return visit_


def look_at(page, clip):
    """Show the camera that plays a clip."""
    page.locator("#cameras").get_by_role("button", name=clip.name).click()
    page.locator("#dot.live").wait_for()


def shows(page, text):
    """Wait until the answer is this text."""
    page.locator("#answer-label").filter(has_text=re.compile(f"^{re.escape(text)}$")).wait_for()


def moves(page):
    """Whether the preview shows another picture within some seconds."""
    first = page.locator("#preview").screenshot()
    for _ in range(20):
        page.wait_for_timeout(250)
        if page.locator("#preview").screenshot() != first:
            return True
    return False


def shot_count(page, label):
    return int(page.locator(f'#classes > [data-key="{label}"] h3 .soft').inner_text())


def teach_by_button(page, name):
    page.locator("#hold").hover()
    page.mouse.down()
    page.locator("#frames li.kept-frame").nth(4).wait_for()
    page.mouse.up()
    page.get_by_role("button", name="Keep").wait_for()
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    page.get_by_text(re.compile(f"{name}: .* views? kept")).wait_for()


def teach_by_space_bar(page, name):
    page.get_by_label("Name", exact=True).fill(name)
    page.locator("#hold").focus()
    page.keyboard.down("Space")
    page.locator("#frames li.kept-frame").nth(4).wait_for()
    page.keyboard.up("Space")
    page.get_by_text(re.compile(f"{name}: .* views? kept")).wait_for()


def change(page, label, what):
    page.get_by_role("button", name=f"More about {label}").click()
    page.locator(f'#classes > [data-key="{label}"]').get_by_role("button", name=what).click()


def test_teach_recognise_explain_undo_and_restart(clips, start, visit, accessible):
    (first, first_clip), (second, second_clip), (_, stranger_clip) = clips.items()
    server = start(clips.values())
    page = visit(server, expected=GONE)
    page.get_by_text("From then on it is recognised.").wait_for()

    # teach two things, see them recognised
    look_at(page, first_clip)
    teach_by_button(page, first)
    shows(page, first)
    look_at(page, second_clip)
    shows(page, "Unknown")
    teach_by_space_bar(page, second)
    shows(page, second)
    look_at(page, first_clip)
    shows(page, first)

    # a stranger is unknown, and waits in Review for a name
    look_at(page, stranger_clip)
    shows(page, "Unknown")
    page.locator("#n-unknown").wait_for()
    page.get_by_role("button", name="Review", exact=True).click()
    page.locator("#strangers img").first.wait_for()
    accessible(page)
    page.get_by_role("button", name="Live", exact=True).click()

    # why, with pictures
    look_at(page, first_clip)
    shows(page, first)
    page.get_by_role("button", name="Why?").click()
    page.locator("#why-body figure").nth(3).wait_for()
    for picture in page.locator("#why-body img").all():
        expect(picture).not_to_have_js_property("naturalWidth", 0)
    assert page.locator("#why-body figure img").count() == 4
    assert {"decode", "embed", "match", "publish", "total"} <= set(page.locator(".receipt").inner_text().split())
    page.keyboard.press("Escape")

    # not this, seen before it applies; undo
    page.get_by_role("button", name="Not this").click()
    changed, of = map(int, re.findall(r"\d+", page.get_by_text("This changes").inner_text()))
    assert 0 < changed <= of
    page.get_by_role("button", name="Apply").click()
    page.get_by_text(f"This view is not {first}").wait_for()
    page.locator("#undo:enabled").filter(has_text=first).click()
    page.get_by_text("Undone").wait_for()
    shows(page, first)

    # a second browser sees the changes live
    other = visit(server, expected=GONE)
    other.get_by_role("button", name=f"More about {first}").wait_for()
    change(page, first, "Rename")
    page.keyboard.type("renamed")
    page.keyboard.press("Enter")
    other.get_by_role("button", name="More about renamed").wait_for()
    shows(other, "renamed")
    shows(page, "renamed")

    # merge and undo
    before = shot_count(page, "renamed"), shot_count(page, second)
    change(page, second, "Merge")
    page.get_by_label(f"Merge {second} into").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    other.get_by_role("button", name=f"More about {second}").wait_for(state="detached")
    assert shot_count(other, "renamed") == sum(before)
    other.locator("#undo").click()
    page.get_by_role("button", name=f"More about {second}").wait_for()
    assert (shot_count(page, "renamed"), shot_count(page, second)) == before

    # forget, and undo from the message that says so
    change(page, second, "Forget")
    other.get_by_role("button", name=f"More about {second}").wait_for(state="detached")
    look_at(other, second_clip)
    shows(other, "Unknown")
    page.locator("#notices").get_by_role("button", name="Undo").last.click()
    shows(other, second)

    # reload, and even restart: everything is still there
    page.reload()
    page.get_by_role("button", name=f"More about {second}").wait_for()
    assert (shot_count(page, "renamed"), shot_count(page, second)) == before
    server.stop()
    page.get_by_text("The device does not answer", exact=True).wait_for()
    server.start()
    page.get_by_text("The device does not answer", exact=True).wait_for(state="hidden")
    look_at(page, first_clip)
    shows(page, "renamed")
    assert moves(page)


def test_two_browsers_that_undo_at_once_take_back_one_change(filmed, start, visit):
    server = start([filmed["cat"]])
    one, other = (visit(server, expected=("409",)) for _ in range(2))
    one.locator("#dot.live").wait_for()
    teach_by_space_bar(one, "cat")
    for old, new in (("cat", "tom"), ("tom", "kitten")):
        change(one, old, "Rename")
        one.keyboard.type(new)
        one.keyboard.press("Enter")
        other.get_by_role("button", name=f"More about {new}").wait_for()
        other.locator("#undo").filter(has_text=new).wait_for()
    held = []
    other.route("**/api/v1/undo", lambda route: held.append(route))  # on its way while the first browser undoes
    other.locator("#undo").click()
    one.locator("#undo").click()
    one.get_by_role("button", name="More about tom").wait_for()
    held[0].continue_()
    other.get_by_text(re.compile("must be the newest")).wait_for()
    for page in (one, other):
        page.get_by_role("button", name="More about tom").wait_for()
        assert page.locator("#classes > li").count() == 1


def test_the_keyboard_is_enough(filmed, start, visit):
    page = visit(start([filmed["cat"]]))
    page.locator("#dot.live").wait_for()

    def tab_to(selector):
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"Tab never comes to {selector}")

    tab_to("#hold")
    page.keyboard.press("Enter")  # for people who cannot hold
    page.locator("#frames li.kept-frame").nth(4).wait_for()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Keep").wait_for()
    page.keyboard.type("tom cat")
    page.keyboard.press("Enter")
    shows(page, "tom cat")
    tab_to("#classes button")
    page.keyboard.press("Enter")
    tab_to("#classes .acts button")
    page.keyboard.press("Enter")
    page.keyboard.type("tom")
    page.keyboard.press("Enter")
    shows(page, "tom")
    tab_to("#undo")
    page.keyboard.press("Enter")
    shows(page, "tom cat")
    tab_to("#region-edit")
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    page.wait_for_timeout(500)
    page.reload()
    page.locator("#region").wait_for()


@pytest.mark.slow
def test_a_name_from_the_inbox_is_enough_to_be_recognised(filmed, start, visit):
    page = visit(start([filmed["cat"], filmed["coins"]]))
    look_at(page, filmed["cat"])
    teach_by_space_bar(page, "cat")
    look_at(page, filmed["coins"])
    shows(page, "Unknown")
    page.get_by_role("button", name="Review", exact=True).click()
    page.get_by_label("Name of this stranger").first.fill("coins")
    page.keyboard.press("Enter")
    page.get_by_text("coins is known now").wait_for()
    page.get_by_role("button", name="Live", exact=True).click()
    shows(page, "coins")


@pytest.mark.slow
def test_a_gallery_goes_from_one_device_to_another(filmed, start, visit, tmp_path):
    page = visit(start([filmed["cat"]]))
    page.locator("#dot.live").wait_for()
    teach_by_space_bar(page, "cat")
    with page.expect_download() as download:
        page.get_by_label("Download the gallery").click()
    download.value.save_as(tmp_path / "shop.zip")
    other = visit(start([filmed["cat"]], gallery="other.db"))
    other.get_by_text("Nothing taught yet.").wait_for()
    other.get_by_label("Upload a gallery").set_input_files(tmp_path / "shop.zip")
    other.get_by_text("Added shop.zip").wait_for()
    shows(other, "cat")


def test_a_phone_elsewhere_logs_in_with_the_printed_token(filmed, start, visit, tmp_path):
    server = start([filmed["cat"]], "--host", "0.0.0.0", "--token-file", str(tmp_path / "token"))
    token = re.search(r"token[^:]*: (\S+)", server.log.read_text()).group(1)
    page = visit(server, "phone", expected=("401",))
    page.get_by_label("Token", exact=True).fill(token[::-1])
    page.keyboard.press("Enter")
    page.get_by_text("That is not the token of this device.").wait_for()
    page.get_by_label("Token", exact=True).fill(token)
    page.keyboard.press("Enter")
    page.locator("#dot.live").wait_for()
    expect(page.locator("#preview")).to_have_js_property("naturalWidth", 480)


def test_without_a_camera_the_page_says_what_to_do(start, visit):
    page = visit(start(["97"]))
    page.get_by_text("No camera", exact=True).wait_for()
    assert "97" in page.locator("#camera-note").inner_text()
    assert page.locator("#hold").is_disabled()


def test_a_gallery_of_another_model_is_embedded_again_at_a_click(filmed, start, visit, tiny_bundle, tmp_path):
    with edgefs.Recognizer(tiny_bundle, gallery=tmp_path / "shop.db") as recognizer:
        recognizer.enroll("cat", [frame.image for frame in open_camera(filmed["cat"])][:12])
    page = visit(start([filmed["cat"]]))
    page.get_by_text("This gallery was filled by another model").wait_for()
    page.get_by_text("Teaching is off until the gallery is embedded again.").wait_for()
    page.get_by_role("button", name="Embed again").click()
    shows(page, "cat")
    assert page.get_by_text("This gallery was filled by another model").count() == 0
