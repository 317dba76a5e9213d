"""The page of a device that shares its gallery: how it stands with its site, and deciding conflicts."""

from __future__ import annotations

import re

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="a browser is driven by: pip install playwright").expect

pytestmark = pytest.mark.browser
SIZES = {"desk": {"width": 1360, "height": 850}, "phone": {"width": 390, "height": 844},
         "side": {"width": 844, "height": 390}}  # fmt: skip
AWAY = "The site's database must answer, but PostgreSQL's client says: connection refused. " \
       "This device goes on with its copy, and tries again."  # fmt: skip
WORDS = {
    "en-US": ("Shared with db/shop · connected", "The site is away: 3 changes wait to be sent", "1 conflict",
              "'mug' was forgotten at one place and could not be changed any more at another",
              "camera1: renamed 'mug' to 'cup'", "Take back", "Cancel", "will not count any more"),
    "zh-CN": ("与 db/shop 共享 · 已连接", "站点不可用：3 项更改等待发送", "1 个冲突",
              "一处忘记了“mug”，另一处的更改无法生效", "camera1：把“mug”改名为“cup”", "收回", "取消",
              "在所有设备上不再生效"),
}  # fmt: skip


@pytest.fixture
def shop(fake):
    device = fake.FakeDevice(classes=[fake.taught("mug", 0), fake.taught("cap", 10)])
    device.state["gallery"]["site"] = fake.site()
    device.answers["GET", "site/conflicts"] = (200, [fake.conflict()])
    device.answers["POST", "site/conflicts/take-back"] = (200, {"what": "undone: forgot 'mug' (3 shots)"})
    return device


@pytest.fixture
def open_shop(open_device, shop):
    def open_(size: str = "desk", **options):
        page = open_device(shop, size, reduced_motion="reduce", **options)
        page.locator("#dot.live").wait_for()
        return page

    return open_


def stand(shop, fake, **changes) -> None:
    """Tell the page that the device stands otherwise with its site."""
    shop.change(gallery=shop.state["gallery"] | {"site": fake.site(**changes)})


@pytest.mark.parametrize("locale", WORDS)
def test_the_page_follows_the_site_in_both_languages_on_every_screen(
    locale, shop, fake, open_shop, accessible, picture
):
    connected, away, conflicts, met, side, back, cancel, sure = WORDS[locale]
    page = open_shop(locale=locale)
    line = page.locator("#site")
    expect(line).to_have_text(connected)
    expect(line).to_have_attribute("role", "status")
    expect(page.locator("#conflicts-open")).to_be_hidden()
    stand(shop, fake, connected=False, problem=AWAY, unsent=3, conflicts=1)
    expect(line).to_have_text(away)
    opener = page.get_by_role("button", name=conflicts, exact=True)
    opener.click()
    page.get_by_text(met).wait_for()
    page.get_by_text(side, exact=True).wait_for()
    for state in ("closed", "asked"):
        for look in ("desk light", "phone dark", "side light"):
            size, scheme = look.split()
            page.set_viewport_size(SIZES[size])
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), look
            accessible(page)
            line.scroll_into_view_if_needed()
            picture(page, f"site-{locale}-{state}-{size}")
        if state == "closed":
            page.locator("#conflicts").get_by_text(back, exact=True).first.click()
            page.get_by_text(sure).wait_for()
            expect(page.get_by_role("button", name=cancel)).to_be_focused()
    page.set_viewport_size(SIZES["desk"])
    page.keyboard.press("Escape")
    expect(page.locator("#conflicts").get_by_text(back, exact=True).first).to_be_focused()
    opener.click()
    expect(page.locator("#conflicts")).to_be_hidden()
    stand(shop, fake)
    expect(line).to_have_text(connected)
    picture(page, f"site-{locale}-connected")


def test_a_conflict_is_decided_only_after_a_second_press_and_is_gone_then(shop, fake, open_shop):
    stand(shop, fake, conflicts=1)
    page = open_shop()
    page.get_by_role("button", name="1 conflict").click()
    take = page.get_by_role("button", name="Take back: till: forgot 'mug' (3 shots)")
    take.click()
    page.get_by_role("button", name="Cancel").click()
    take.click()
    assert [call for call in shop.calls if call[0] != "GET"] == []
    page.get_by_role("button", name="Take back", exact=True).click()
    page.get_by_text("Undone: forgot 'mug' (3 shots)").wait_for()
    key = {"origin": "till/1f2e3d4c", "n": 7}
    assert [call for call in shop.calls if call[0] != "GET"] == [("POST", "site/conflicts/take-back", {}, key)]
    stand(shop, fake)
    expect(page.locator("#conflicts-open")).to_be_hidden()
    expect(page.locator("#conflicts")).to_be_hidden()


def test_a_conflict_that_somebody_else_decided_is_named_and_the_list_is_read_again(shop, fake, open_page):
    stand(shop, fake, conflicts=2)
    shop.answers["GET", "site/conflicts"] = (200, [fake.conflict(), fake.conflict(text="there was no 'cap' any more")])
    page = open_page(expected=("409",))
    shop.attach(page)
    page.goto(fake.ORIGIN)
    page.get_by_role("button", name="2 conflicts").click()
    expect(page.locator("#conflicts > li")).to_have_count(2)
    expect(page.locator("#conflicts > li").first).to_contain_text("there was no 'cap' any more")  # the newest
    said = "Change 7 of till/1f2e3d4c must be part of a conflict, but it is not, or no longer. Nothing was changed."
    refusal = (409, {"error": {"type": "StaleOperation", "message": said}})
    shop.answers["POST", "site/conflicts/take-back"] = refusal
    shop.answers["GET", "site/conflicts"] = (200, [fake.conflict()])
    page.get_by_role("button", name=re.compile("^Take back: camera1")).first.click()
    page.get_by_role("button", name="Take back", exact=True).click()
    page.get_by_text(said).wait_for()
    expect(page.locator("#conflicts > li")).to_have_count(1)


def test_what_this_device_may_not_take_back_has_no_button_and_a_viewer_has_none(shop, fake, open_shop):
    conflict = fake.conflict()
    conflict["changes"][1]["can_take_back"] = False
    shop.answers["GET", "site/conflicts"] = (200, [conflict])
    stand(shop, fake, conflicts=1)
    page = open_shop()
    page.get_by_role("button", name="1 conflict").click()
    expect(page.get_by_role("button", name=re.compile("^Take back: camera1"))).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Take back: till"))).to_have_count(0)
    shop.answers["GET", "user"] = (200, {"name": "till", "role": "viewer"})
    viewer = open_shop()
    viewer.get_by_role("button", name="1 conflict").click()
    viewer.get_by_text("camera1: renamed 'mug' to 'cup'").wait_for()
    expect(viewer.get_by_role("button", name=re.compile("^Take back"))).to_have_count(0)


def test_the_card_of_the_device_says_why_the_site_is_away(shop, fake, open_shop, accessible):
    stand(shop, fake, connected=False, problem=AWAY)
    page = open_shop()
    expect(page.locator("#site")).to_have_text("The site is away. Recognition goes on.")
    page.get_by_role("button", name="About this device").click()
    page.get_by_text(f"postgresql://till@db/shop · {AWAY}").wait_for()
    accessible(page)


def test_pictures_that_are_still_to_come_are_counted(shop, fake, open_shop):
    stand(shop, fake, crops_to_come=214)
    expect(open_shop().locator("#site")).to_have_text(
        "Shared with db/shop · connected · 214 pictures are still to come"
    )


def test_a_gallery_that_is_a_file_shows_nothing_of_a_site(shop, open_shop):
    shop.state["gallery"]["site"] = None
    page = open_shop()
    expect(page.locator("#n-classes")).to_have_text("(2)")
    expect(page.locator("#site")).to_be_hidden()
    assert page.locator("#conflicts-open, #conflicts").count() == 0
