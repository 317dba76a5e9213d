"""The page of a viewer shows everything, offers no change, and lets a teacher log in; deleting a class for good."""

from __future__ import annotations

import time

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="a browser is driven by: pip install playwright").expect

pytestmark = pytest.mark.browser
SIZES = {"desk": {"width": 1360, "height": 850}, "phone": {"width": 390, "height": 844},
         "side": {"width": 844, "height": 390}}  # fmt: skip
PLACES = {"live": "#caption", "review": "#visits > li", "things": ".tile", "actions": "#rules > li"}


@pytest.fixture
def shop(fake):
    """A device with two classes, a stranger, a visit, a rule, a named region and a change; the user is a viewer."""
    now = time.time()
    shelf = {"name": "shelf", "region": {"x": 0.1, "y": 0.1, "w": 0.3, "h": 0.5}}
    device = fake.FakeDevice(
        cameras=[fake.camera(regions=[shelf])],
        classes=[fake.taught("mug", 0), fake.taught("cap", 10, reliable=False, advice="show it from 3 more sides")],
        inbox=[{"id": 1, "seen": 7, "first_s": now - 900, "last_s": now - 60}],
        undo=fake.operation(7, "enrolled 5 shots of 'mug'"),
    )
    visit = fake.visit(1, certainty="maybe")
    rule = fake.rule("door", certainty="maybe", results=[])
    device.answers["GET", "user"] = (200, {"name": "till", "role": "viewer"})
    device.answers["GET", "visits"] = (200, [visit])
    device.answers["GET", "visits/statistics"] = (200, [])
    device.answers["GET", "answers/900/explain"] = (200, fake.answer("mug"))
    device.answers["GET", "classes/shots"] = (200, [fake.shot(1)])
    device.answers["GET", "actions"] = (200, {"durable": True, "rules": [rule]})
    return device


@pytest.fixture
def open_shop(open_device, fake, shop):
    def open_(size: str = "desk", **options):
        page = open_device(shop, size, reduced_motion="reduce", **options)
        page.locator("#dot.live").wait_for()
        shop.send(**fake.answer(None, suggestion="mug", certainty="maybe", score=0.58))
        return page

    return open_


@pytest.mark.parametrize("place", PLACES)
def test_a_viewer_sees_every_place_without_what_only_a_teacher_may_do(place, shop, open_shop, accessible, picture):
    page = open_shop()
    if place != "live":
        page.locator(f"button[data-place={place}]").click()
    page.locator(PLACES[place]).first.wait_for()
    for size, shape in SIZES.items():
        page.set_viewport_size(shape)
        for word in ("Yes", "No", "It is…", "Not this", "Rename", "Forget", "Test", "Remove", "Name this region"):
            assert page.get_by_role("button", name=word, exact=True).locator("visible=true").count() == 0, word
        assert page.locator(":is(#teach, #undo, #upload, .visit input, #strangers form):visible").count() == 0
        if place == "live":
            page.get_by_text("You may look at everything, but change nothing.").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), size
        accessible(page)
        picture(page, f"viewer-{place}-{size}")


def test_nothing_that_a_viewer_presses_asks_for_a_change(shop, open_shop):
    page = open_shop()
    for place in PLACES:
        page.locator(f"button[data-place={place}]").click()
        page.locator(PLACES[place]).first.wait_for()
        for button in page.locator("main button:visible, aside button:visible, #place button:visible").all():
            if button.is_visible() and button.is_enabled():
                button.click()
                page.wait_for_timeout(200)  # a card may be loaded first
                page.keyboard.press("Escape")
    page.locator("button[data-place=live]").click()
    page.locator("body").click(position={"x": 2, "y": 2})
    page.keyboard.press("Space")
    page.wait_for_timeout(300)
    assert {method for method, *_ in shop.calls} == {"GET"}


def test_the_card_of_the_device_says_who_it_is_and_has_nothing_to_set(shop, open_shop, accessible, picture):
    page = open_shop()
    page.get_by_role("button", name="About this device").click()
    page.get_by_text("till (viewer)").wait_for()
    assert page.locator("#about-body :is(select, button)").count() == 0
    accessible(page)
    picture(page, "viewer-about")


def test_a_viewer_becomes_a_teacher_by_logging_in_and_may_decide_not_to(shop, open_shop, accessible, picture):
    page = open_shop("phone")
    page.get_by_role("button", name="Log in as a teacher").click()
    accessible(page)
    picture(page, "viewer-login")
    page.get_by_role("button", name="Cancel").click()
    assert page.locator("#login-card").is_hidden()
    page.get_by_role("button", name="Log in as a teacher").click()
    shop.answers["GET", "user"] = (200, {"name": "anna", "role": "teacher"})
    page.get_by_label("Token", exact=True).fill("secret")
    page.keyboard.press("Enter")
    page.locator("#teach").wait_for()
    assert page.locator("#login-card").is_hidden()
    assert page.get_by_text("You may look at everything").is_hidden()
    expect(page.locator("#hold")).to_be_enabled()


def test_a_viewer_reads_chinese(shop, open_shop, picture):
    page = open_shop("phone", locale="zh-CN")
    page.get_by_text("您可以查看，但不能更改。").wait_for()
    picture(page, "viewer-chinese")


def test_a_class_is_deleted_for_good_only_after_the_page_said_what_goes(shop, open_shop, accessible, picture):
    shop.answers["GET", "user"] = (200, {"name": None, "role": "teacher"})
    what = "deleted 1 classes and 14 shots for good"
    shop.answers["DELETE", "classes"] = (200, {"what": what, "operation": None})
    page = open_shop()
    for close in (lambda: page.keyboard.press("Escape"), lambda: page.get_by_role("button", name="Cancel").click()):
        if not page.get_by_role("button", name="Delete for good now").is_visible():
            page.get_by_role("button", name="More about mug").click()
        page.get_by_role("button", name="Delete for good now").click()
        page.get_by_text("mug, its 14 shots, pictures and visits are deleted at once").wait_for()
        assert page.get_by_role("button", name="Cancel").evaluate("(e) => e === document.activeElement")
        close()
    assert shop.calls == []
    page.get_by_role("button", name="Delete for good now").click()
    for size in ("desk", "phone"):
        page.set_viewport_size(SIZES[size])
        accessible(page)
        page.get_by_role("button", name="Delete for good", exact=True).scroll_into_view_if_needed()
        picture(page, f"erase-{size}")
    page.get_by_role("button", name="Delete for good", exact=True).click()
    page.get_by_text(what).wait_for()
    assert shop.calls[-1] == ("DELETE", "classes", {"label": "mug", "now": "true"}, None)
