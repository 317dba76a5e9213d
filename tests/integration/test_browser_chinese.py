"""The page in Chinese: every place and card, on a desk, a phone and a phone on its side, light and dark."""

from __future__ import annotations

import re
import time

import pytest

pytestmark = pytest.mark.browser

# Names that the device gives, and words that Chinese uses as they are.
LATIN = {
    "mug", "cap", "shop", "cam", "bench", "default", "onnxruntime", "csv", "json", "api", "mqtt", "webhook", "apprise",
    "http", "https", "test", "rtsp", "edgefs", "live", "actions", "shift", "door", "hook", "db", "am", "pm",
}  # fmt: skip
SIZES = {"desk": {"width": 1360, "height": 850}, "phone": {"width": 390, "height": 844},
         "side": {"width": 844, "height": 390}}  # fmt: skip
LOOKS = ("desk light", "phone dark", "side light")


@pytest.fixture
def shop(fake):
    """A device with classes, a stranger, a change to undo, a visit and a rule."""
    now = time.time()
    device = fake.FakeDevice(
        classes=[fake.taught("mug", 0), fake.taught("cap", 10, reliable=False, advice="show it from 3 more sides")],
        inbox=[{"id": 1, "seen": 7, "first_s": now - 900, "last_s": now - 60}],
        undo=fake.operation(7, "enrolled 5 shots of 'mug'"),
    )
    visit = fake.visit(1, certainty="maybe")
    rule = fake.rule("door", certainty="maybe", results=[])
    device.answers["GET", "visits"] = (200, [visit])
    device.answers["GET", "visits/statistics"] = (
        200,
        [{"begin_s": now // 3600 * 3600, "label": None, "visits": 2, "seconds": 9}],
    )
    device.answers["GET", "classes/shots"] = (200, [fake.shot(1)])
    device.answers["GET", "devices"] = (200, [])
    device.answers["GET", "actions"] = (200, {"durable": True, "rules": [rule]})
    return device


def foreign(page):
    """The Latin words that the page shows or tells to a screen reader."""
    text = page.evaluate(
        """() => [document.body.innerText, ...[...document.querySelectorAll("[aria-label], [title], [placeholder]")]
        .filter((e) => e.checkVisibility()).flatMap((e) => [e.ariaLabel, e.title, e.placeholder])].join("\\n")"""
    )
    return {word.lower() for word in re.findall(r"[A-Za-z]{2,}", text)} - LATIN - {"fps", "null", "undefined"}


def card(name, button):
    def show(page, device, fake):
        device.send(**fake.answer("mug"))
        page.locator("#answer-label").filter(has_text="mug").wait_for()
        page.locator(button).click()
        page.locator(f"#{name}-card[open]").wait_for()

    return show


def place(name, content):
    def show(page, device, fake):
        page.locator(f"[data-place={name}]").first.click()
        page.locator(content).first.wait_for()

    return show


def maybe(page, device, fake):
    device.send(**fake.answer(None, suggestion="mug", certainty="maybe", score=0.58))
    page.get_by_text("mug？", exact=True).wait_for()
    page.get_by_role("button", name="它是…").wait_for()


def naming(page, device, fake):
    page.locator("#hold").hover()
    page.mouse.down()
    device.send(type="teach", camera="0", kept=2, refused=1, accepted=False, reason="too dark",
                line="too dark: add light", thumb=None)  # fmt: skip
    page.get_by_text("太暗：请增加光线").wait_for()
    page.mouse.up()
    page.get_by_role("button", name="保留 2 个视图").wait_for()


def empty(page, device, fake):
    device.change(classes=[], inbox=[], undo=None)
    page.get_by_text("之后就能认出它").wait_for()


STATES = {
    "maybe": maybe,
    "empty": empty,
    "naming": naming,
    "review": place("review", "#visits > li"),
    "things": place("things", ".tile"),
    "actions": place("actions", "#rules > li"),
    "about": card("about", "#about-open"),
    "sources": card("sources", "#sources-open"),
}


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_chinese_accessible_and_fits_each_screen(state, shop, fake, open_page, accessible):
    page = open_page("desk", locale="zh-CN", reduced_motion="reduce")
    shop.answers["GET", "answers/900/explain"] = (200, fake.answer("mug"))
    shop.attach(page)
    page.goto(fake.ORIGIN)
    page.locator("#dot.live").wait_for()
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    STATES[state](page, shop, fake)
    for look in LOOKS:
        size, scheme = look.split()
        page.set_viewport_size(SIZES[size])
        page.emulate_media(color_scheme=scheme)
        assert foreign(page) == set()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), look
        accessible(page)


@pytest.mark.parametrize(
    ("locale", "lang", "word"), [("zh-TW", "zh-Hans", "审核"), ("en-GB", "en", "Review"), ("fr-FR", "en", "Review")]
)
def test_the_language_follows_the_browser_and_others_get_english(locale, lang, word, shop, fake, open_page):
    page = open_page("desk", locale=locale)
    shop.attach(page)
    page.goto(fake.ORIGIN)
    page.get_by_role("button", name=word, exact=True).wait_for()
    assert page.evaluate("document.documentElement.lang") == lang


def test_only_the_dictionary_of_the_language_is_loaded(shop, fake, open_page):
    page, asked = open_page("desk", locale="zh-CN"), []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    shop.attach(page)
    page.goto(fake.ORIGIN)
    page.locator("#dot.live").wait_for()
    assert "zh.json" in asked
    assert "en.json" not in asked
