"""What a browser loads for the first picture of the page, and what waits until it is used."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

MOST_BYTES = 120_000  # of page, styles and scripts, not compressed
LATER = {
    "places.css", "review.js", "inbox.js", "plots.js", "things.js", "actions.js", "about.js", "why.js", "reject.js",
    "sources.js", "retention.js", "browser_camera.js", "photos_card.js", "similar.js",
    "class_actions.js", "site.js",
}  # fmt: skip


@pytest.fixture
def loaded(open_page, fake):
    """The files of the page: name -> bytes."""
    files = {}
    device, page = fake.FakeDevice(classes=[fake.taught("mug", 0)]), open_page(locale="en-US")
    device.answers["GET", "visits"] = device.answers["GET", "visits/statistics"] = (200, [])

    def note(response):
        name = response.url.removeprefix(fake.ORIGIN).removeprefix("/static/")
        if not name.startswith("/api"):
            files[name] = len(response.body())

    page.on("response", note)
    device.attach(page)
    page.goto(fake.ORIGIN)
    page.locator("#dot.live").wait_for()
    page.wait_for_load_state("networkidle")
    return page, files


def test_the_first_picture_needs_at_most_120_kb(loaded):
    _, files = loaded
    assert {"/", "main.js", "teach.js", "app.css"} <= set(files)
    assert not (LATER | {"zh.json"}) & set(files)
    assert sum(files.values()) <= MOST_BYTES


def test_a_place_and_a_card_are_loaded_once_when_they_are_used(loaded):
    page, files = loaded
    before = set(files)
    page.get_by_role("button", name="Review", exact=True).click()
    page.locator("#review").wait_for()
    page.get_by_role("button", name="Live", exact=True).click()
    page.get_by_role("button", name="About this device").click()
    page.locator("#about-card[open]").wait_for()
    assert {"places.css", "review.js", "about.js"} <= set(files) - before <= LATER
    assert page.locator("link[href='static/places.css']").count() == 1


def test_the_chinese_dictionary_fits_too(open_page, fake):
    page, sizes = open_page(locale="zh-CN"), []
    device = fake.FakeDevice()
    page.on("response", lambda response: "/api" not in response.url and sizes.append(len(response.body())))
    device.attach(page)
    page.goto(fake.ORIGIN)
    page.locator("#dot.live").wait_for()
    page.wait_for_load_state("networkidle")
    assert sum(sizes) <= MOST_BYTES
