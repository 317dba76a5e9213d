"""Review, Things and Actions in a real browser, on a fake device: what they show, what they send, and axe-core."""

from __future__ import annotations

import time

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="a browser is driven by: pip install playwright").expect

pytestmark = pytest.mark.browser
LOOKS = pytest.mark.parametrize("look", ["desk light", "desk dark", "phone light"])


def hours():
    hour = time.time() // 3600
    return [
        {"begin_s": (hour - n) * 3600, "label": label, "visits": 1 + (n * 3) % 7, "seconds": 90.0}
        for n in range(20)
        for label in ("mug", "a cap with a long name", None)
        if n % (len(label or "x") % 4 + 1) == 0
    ]


@pytest.fixture
def shop(fake):
    """A device with classes, visits and rules."""
    device = fake.FakeDevice(
        classes=[fake.taught("mug", 0), fake.taught("cap", 10, reliable=False, advice="show it from 3 more sides")]
    )
    visits = [
        fake.visit(1),
        fake.visit(2, None, suggestion="cap"),
        fake.visit(3, None, suggestion=None),
        fake.visit(4, "cap", certainty="maybe"),
        fake.visit(5, review="is", review_label="cap"),
        fake.visit(6, review="yes", review_label="mug"),
    ]
    device.answers["GET", "visits"] = (200, visits)
    device.answers["POST", "visits/review"] = (200, {"visits": 1, "operations": [7]})
    device.answers["GET", "visits/statistics"] = (200, hours())
    shots = [fake.shot(n, negative=n == 3, time_s=time.time() - n * 9000) for n in range(8)]
    device.answers["GET", "classes/shots"] = (200, shots)
    fixed = fake.rule(
        "every visitor",
        kind="csv",
        target="/var/log/seen.csv",
        label=None,
        fixed=True,
        waiting=0,
        signed=False,
        results=[],
    )
    device.answers["GET", "actions"] = (200, {"durable": True, "rules": [fake.rule("door"), fixed]})
    return device


@pytest.fixture
def open_place(open_page, fake, shop):
    """Open a place of the page of the device."""

    def open_(place, look="desk light"):
        size, scheme = look.split()
        page = open_page(size, color_scheme=scheme)
        shop.attach(page)
        page.goto(fake.ORIGIN)
        page.locator("#dot:not(.connecting)").wait_for()
        page.get_by_role("button", name=place, exact=True).click()
        page.locator(f"#{place.lower()}").wait_for()  # it is loaded when it is first shown
        return page

    return open_


def sent(device, method, path):
    return [call for call in device.calls if call[:2] == (method, path)]


@LOOKS
@pytest.mark.parametrize("place", ["Review", "Things", "Thing", "Actions"])
def test_every_place_is_accessible_and_fits_the_screen(place, look, open_place, accessible, tmp_path):
    page = open_place("Things" if place == "Thing" else place, look)
    if place == "Thing":
        page.get_by_role("button", name="mug").click()
    if place == "Actions":
        page.get_by_text("Add an action", exact=True).click()
    {
        "Review": page.get_by_text("7 days"),
        "Things": page.locator(".tile").first,
        "Thing": page.locator("#views li").first,
        "Actions": page.get_by_text("the server answered 503 Busy"),
    }[place].wait_for(state="attached")
    page.wait_for_timeout(300)
    page.screenshot(path=tmp_path / f"{place} {look}.png", full_page=True)
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is cut off at the side"


def test_a_visit_is_confirmed_named_by_its_suggestion_or_corrected(open_place, shop):
    page = open_place("Review")
    rows = page.locator("#visits > li")
    rows.nth(0).get_by_role("button", name="Yes").click()
    expect(page.locator("#notices > *")).not_to_have_count(0)
    assert sent(shop, "POST", "visits/review")[-1][3] == {"ids": [1], "say": "yes", "label": None}
    expect(rows.nth(2).get_by_role("button")).to_have_text(["", "It is…", "Stranger"])
    rows.nth(2).get_by_role("button", name="It is…").click()
    page.get_by_label("Name of this thing").fill("cup")
    page.get_by_role("button", name="Name it").click()
    expect(page.locator("dialog[open]")).to_have_count(0)
    assert sent(shop, "POST", "visits/review")[-1][3] == {"ids": [3], "say": "is", "label": "cup"}
    expect(rows.nth(4).locator("h3")).to_have_text("cap")
    expect(rows.nth(4).get_by_text("corrected, was mug")).to_be_visible()


def test_several_visits_are_marked_at_once_and_undone(open_place, shop):
    shop.answers["POST", "visits/review"] = (200, {"visits": 2, "operations": [7, 8]})
    page = open_place("Review")
    for number in (0, 3):
        page.locator("#visits > li").nth(number).get_by_role("checkbox").check()
    bar = page.get_by_role("group", name="Selected visits")
    assert bar.get_by_text("2 selected").is_visible()
    bar.get_by_role("button", name="Not this").click()
    page.get_by_text("2 visits marked as not this").wait_for()
    assert sent(shop, "POST", "visits/review")[-1][3] == {"ids": [1, 4], "say": "not", "label": None}
    bar.wait_for(state="hidden")
    page.locator("#notices").get_by_role("button", name="Undo").click()
    page.wait_for_timeout(500)
    assert [call[3] for call in sent(shop, "POST", "undo")] == [{"id": 8}, {"id": 7}], "the newest first"


def test_not_this_shows_what_it_changes_before_it_is_said(open_place, shop):
    changes = [{"answer": 1, "before": "mug", "after": "unknown"}]
    shop.answers["POST", "visits/1/not/preview"] = (200, {"of": 900, "changes": changes})
    page = open_place("Review")
    page.locator("#visits > li").nth(0).get_by_role("button", name="Not this").click()
    page.get_by_text("This changes 1 of the last 900 answers.").wait_for()
    assert not sent(shop, "POST", "visits/review")
    page.get_by_role("button", name="Apply").click()
    page.get_by_text("1 visit marked as not this").wait_for()
    assert sent(shop, "POST", "visits/review")[-1][3] == {"ids": [1], "say": "not", "label": None}


def test_filters_reach_the_device_and_the_export(open_place, shop):
    page = open_place("Review")
    page.get_by_label("Class", exact=True).select_option("mug")
    page.get_by_label("Not reviewed").check()
    page.wait_for_timeout(300)
    assert sent(shop, "GET", "visits")[-1][2] == {"label": "mug", "unreviewed": "true", "limit": "60"}
    assert (
        page.get_by_role("link", name="CSV").get_attribute("href")
        == "api/v1/visits/export.csv?label=mug&unreviewed=true"
    )


def test_a_view_is_enlarged_moved_and_deleted(open_place, shop):
    page = open_place("Things")
    page.get_by_role("button", name="mug").click()
    first = page.locator("#views > li").first
    first.get_by_role("button", name="Enlarge").click()
    page.get_by_text("sharpness 90 of 100").wait_for()
    page.keyboard.press("Escape")
    first.get_by_role("button", name="Move").click()
    first.get_by_label("Move this view to").select_option("cap")
    page.get_by_text("Moved a view to cap").wait_for()
    assert sent(shop, "POST", "shots/0/move")[-1][3] == {"label": "cap"}
    page.locator("#views > li").nth(1).get_by_role("button", name="Delete").click()
    page.get_by_text("Deleted a view of mug").wait_for()
    assert sent(shop, "DELETE", "shots/1")
    page.get_by_role("button", name="All things").click()
    assert page.locator(".tile").count() == 2


def test_an_action_is_added_tested_and_removed(open_place, shop):
    shop.answers["POST", "actions/test"] = (200, {"id": "x", "time_s": 0.0, "ok": False, "tries": 1, "what": "refused"})
    page = open_place("Actions")
    page.get_by_text("Add an action", exact=True).click()
    page.get_by_label("Name of the action").fill("bell")
    page.get_by_label("When this is seen").select_option("mug")
    page.get_by_label("Address").fill("http://bell/ring")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("bell is in force").wait_for()
    assert sent(shop, "PUT", "actions")[0][3] == {
        "name": "bell",
        "label": "mug",
        "certainty": "sure",
        "dwell_s": 0,
        "do": {"kind": "webhook", "url": "http://bell/ring", "secret": None},
    }
    page.get_by_role("button", name="Test").first.click()
    page.get_by_text("door does not work: refused").wait_for()
    assert page.get_by_role("button", name="Remove").count() == 1, "a rule of the file cannot be removed here"
    page.get_by_role("button", name="Remove").click()
    page.wait_for_timeout(300)
    assert sent(shop, "DELETE", "actions")[0][2] == {"name": "door"}


def test_the_space_bar_teaches_only_in_live_and_the_place_is_in_the_address(open_place, shop, fake):
    page = open_place("Review")
    page.locator("#review-title").click()
    page.keyboard.press("Space")
    page.wait_for_timeout(200)
    assert not sent(shop, "POST", "cameras/0/teach")
    assert page.url.endswith("#review")
    page.reload()
    page.locator("#visits > li").first.wait_for()
    page.get_by_role("button", name="Live", exact=True).click()
    assert not page.url.endswith("#review")
    assert page.locator("#teach").is_visible()
