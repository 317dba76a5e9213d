"""Sources in a real browser on the real server: added, named, switched, removed and remembered; the browser's camera.

Chromium plays a clip as its camera (`--use-file-for-fake-video-capture`), so its frames go the way of a phone's.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgefs.demo.virtual_camera import film
from runtime.opencv import read_image

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
PATIENCE_MS = 40_000
LONG = "a very long name of a camera that looks at the assembly line behind the second door on the left"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Frames of two things, as picture files, and one of them as a Y4M clip for Chromium."""
    skimage = pytest.importorskip("skimage", reason="the photographs come from scikit-image")
    folder = tmp_path_factory.mktemp("photos")
    for name in ("coffee", "chelsea"):
        picture = read_image(Path(skimage.__file__).parent / "data" / f"{name}.png")
        frames = [cv2.resize(f, (640, 360)) for f in film(picture, 40, np.random.default_rng(2))]
        for i, frame in enumerate(frames[::8]):
            cv2.imwrite(str(folder / f"{name}{i}.jpg"), frame)
        with (folder / f"{name}.y4m").open("wb") as clip:
            clip.write(b"YUV4MPEG2 W640 H360 F15:1 Ip A1:1 C420jpeg\n")
            for frame in frames:
                clip.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420).tobytes())
    return folder


@pytest.fixture(scope="module")
def chromium_flags(photos):
    """The browser's camera plays the clip of the coffee, and nobody is asked for permission that is not given."""
    return "--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={photos / 'coffee.y4m'}"


class Server:
    """`edgefs live` without --source, on a machine without a camera."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.url = folder, f"http://127.0.0.1:{self.port}/"
        self.start()

    def start(self):
        command = [
            sys.executable,
            "-m",
            "edgefs.cli",
            "live",
            "--gallery",
            self.folder / "shop.db",
            "--port",
            str(self.port),
        ]
        log = self.folder / "log"
        with log.open("w") as file:
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            self.process = subprocess.Popen(command, stderr=file, stdout=file, cwd=ROOT, env=environment)
        limit = time.monotonic() + 60
        while "edgefs live: http" not in log.read_text():
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < limit, log.read_text()
            time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        assert self.process.wait(20) == 0


@pytest.fixture
def server(tmp_path):
    live = Server(tmp_path)
    yield live
    if live.process.poll() is None:
        live.stop()


@pytest.fixture
def visit(open_page):
    """Open the page of a server; the browser's camera is permitted unless `permissions` says otherwise."""

    def visit_(server, size="desk", permissions=("camera",), **options):
        page = open_page(size, permissions=list(permissions), reduced_motion="reduce", **options)
        page.set_default_timeout(PATIENCE_MS)
        page.goto(server.url)
        page.locator("#dot.missing, #dot.live").wait_for()
        return page

    return visit_


def shows(page, text):
    page.locator("#answer-label").filter(has_text=text).wait_for()


def test_without_a_camera_the_page_offers_sources_which_are_named_switched_removed_and_remembered(
    server, visit, accessible
):
    page = visit(server)
    page.get_by_role("button", name="Choose a source").click()
    page.get_by_role("button", name="Virtual camera").wait_for()
    accessible(page)
    page.get_by_role("button", name="Virtual camera").click()
    page.locator("#dot.live").wait_for()
    page.get_by_role("button", name="Sources").click()
    page.get_by_role("button", name="Rename virtual camera").click()
    page.get_by_label("Name of virtual camera").fill(LONG)
    page.keyboard.press("Enter")
    page.get_by_role("button", name=f"Remove {LONG}").wait_for()
    page.get_by_role("button", name="Remove 0", exact=True).click()
    page.get_by_role("button", name="Remove 0", exact=True).wait_for(state="detached")
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()
    server.stop()
    server.start()
    page = visit(server, "phone")
    page.locator("#dot.live").wait_for()
    names = [camera["name"] for camera in json.loads(page.evaluate("fetch('api/v1/cameras').then((r) => r.text())"))]
    assert names == [LONG]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_cannot_be_opened_is_refused_with_a_reason_and_nothing_is_added(server, visit):
    page = visit(server, expected=("422",))
    page.get_by_role("button", name="Choose a source").click()
    page.locator("#source-what").fill("filesrc location=/etc/passwd ! appsink")
    page.keyboard.press("Enter")
    page.locator("#notices").filter(has_text="The source must be a camera number").wait_for()
    assert page.locator("#source-list > li").count() == 1


def test_photos_that_are_dropped_teach_and_the_browsers_own_camera_is_recognised(server, visit, photos, accessible):
    page = visit(server)
    for name in ("coffee", "chelsea"):
        files = [str(path) for path in sorted(photos.glob(f"{name}*.jpg"))]
        page.locator("#photos").set_input_files(files)
        page.get_by_label("Name of the thing in these photos").fill(name)
        accessible(page)
        page.get_by_role("button", name="Teach", exact=True).click()
        page.locator(f'#classes > [data-key="{name}"]').wait_for()
        page.locator("#photos-card[open]").wait_for(state="detached")
        if page.locator("#similar-card[open]").count():
            page.get_by_role("button", name="Keep both").click()
    page.locator("#sources-open").click()
    page.get_by_role("button", name="This browser's camera").click()
    page.locator("#dot.live").wait_for()
    shows(page, "coffee")
    page.reload()  # the page goes on sending by itself
    page.locator("#dot.live").wait_for()
    shows(page, "coffee")
    page.locator("#sources-open").click()
    page.get_by_role("button", name="Remove Linux camera").click()
    page.locator("#source-list").filter(has_not_text="Linux camera").wait_for()


def test_a_drop_of_photos_opens_their_card_and_asks_what_they_show(server, visit, photos):
    page = visit(server)
    data = list((photos / "coffee0.jpg").read_bytes())
    transfer = page.evaluate_handle(
        """(data) => {
             const transfer = new DataTransfer();
             transfer.items.add(new File([new Uint8Array(data)], "a.jpg", { type: "image/jpeg" }));
             return transfer;
           }""",
        data,
    )
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})
    page.get_by_role("button", name="What is it?").click()
    page.locator("#photos-body b").filter(has_text="Unknown").wait_for()


def test_without_permission_the_page_says_how_to_give_it(server, visit):
    page = visit(server, permissions=())
    page.get_by_role("button", name="Choose a source").click()
    page.get_by_role("button", name="This browser's camera").click()
    page.locator("#notices").filter(has_text="may not use its camera").wait_for()
    assert page.locator("#source-list > li").count() == 1


@pytest.mark.parametrize("size", ["phone", "side"])
def test_without_https_the_page_says_why_its_camera_cannot_be_used_and_region_has_a_done_button(
    server, visit, accessible, size
):
    page = visit(server, size, color_scheme="dark")
    page.evaluate("Object.defineProperty(window, 'isSecureContext', { value: false })")
    page.get_by_role("button", name="Choose a source").click()
    page.locator("#sources-body").filter(has_text="only over HTTPS").wait_for()
    assert page.locator("#add-browser").is_disabled()
    accessible(page)
    page.get_by_role("button", name="Virtual camera").click()
    page.locator("#dot.live").wait_for()
    page.get_by_role("button", name="Region").click()
    page.get_by_role("button", name="Done").click()
    assert not page.locator("#stage.editing").count()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_source_is_added_with_the_keyboard_only(server, visit):
    page = visit(server)
    page.locator("#note-sources").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Virtual camera").focus()
    page.keyboard.press("Enter")
    page.locator("#dot.live").wait_for()
    assert page.locator("#sources-card[open]").count() == 0
