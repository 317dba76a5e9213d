"""The page in every state of a device, on a fake device: its texts, the keyboard, and the findings of axe-core."""

from __future__ import annotations

import base64
import re
import time

import pytest

pytestmark = pytest.mark.browser

MISSING = "no camera at index 0; plug one in, or start edgefs live with another --source"
UNAUTHORISED = (401, {"error": {"type": "Unauthorised", "message": "a token is needed"}})
LAST_FRAME = re.compile(r"Last frame \d+ s ago$")
RECONNECTING = re.compile(r"Last frame \d+ s ago, reconnecting")
PICTURE = "data:image/jpeg;base64,"


@pytest.fixture
def shop(fake):
    """A device with two classes, a stranger and something to undo."""
    return fake.FakeDevice(
        classes=[fake.taught("mug", 0), fake.taught("cap", 10, reliable=False, advice="show it from 3 more sides")],
        inbox=[{"id": 1, "seen": 7, "first_s": time.time() - 900, "last_s": time.time() - 60}],
        undo=fake.operation(7, "enrolled 5 shots of 'mug'"),
    )


def live(device, page, fake):
    device.send(**fake.answer("mug"))
    page.get_by_text("next: cap").wait_for()


def unknown(device, page, fake):
    device.send(**fake.answer(None, score=0.44))
    page.get_by_text("nearest is mug: 0.44, needs 0.61").wait_for()


def maybe(device, page, fake):
    device.send(**fake.answer(None, suggestion="mug", certainty="maybe", score=0.58))
    page.get_by_text("mug?", exact=True).wait_for()
    page.get_by_text("0.58, needs 0.61").wait_for()
    page.get_by_role("button", name="It is…").wait_for()


def empty(device, page, fake):
    device.change(classes=[], inbox=[], undo=None)
    page.get_by_text("From then on it is recognised.").wait_for()
    page.get_by_text("Nothing to undo").wait_for()


def no_camera(device, page, fake):
    device.change(cameras=[fake.camera(state="missing", message=MISSING)])
    page.get_by_text(MISSING).wait_for()
    page.get_by_text("Teaching needs a live picture.").wait_for()


def stalled(device, page, fake):
    device.send(type="camera", **fake.camera(state="stalled", message="check its cable", frame_age_s=4))
    page.get_by_text(LAST_FRAME).wait_for()
    said = page.locator("#camera-note strong").inner_text()
    page.locator("#camera-note strong").filter(has_not_text=said).wait_for()  # the page counts the seconds


def reconnecting(device, page, fake):
    device.change(cameras=[fake.camera(state="reconnecting", message="", frame_age_s=61)])
    page.get_by_text(RECONNECTING).wait_for()


def ended(device, page, fake):
    device.change(cameras=[fake.camera(state="ended", message="start it again to see it again")])
    page.get_by_text("The video has ended").wait_for()


def other_model(device, page, fake):
    mismatch = {"shots": 214, "seconds": 3.0, "done": None, "failed": ""}
    device.change(classes=[], gallery=device.state["gallery"] | {"mismatch": mismatch})
    page.get_by_text("Its 214 shots can be embedded again from their pictures: about 3 s.").wait_for()
    with page.expect_response("**/gallery/reembed"):
        page.get_by_role("button", name="Embed again").click()
    assert device.calls[-1][:2] == ("POST", "gallery/reembed")
    device.change(gallery=device.state["gallery"] | {"mismatch": mismatch | {"done": 80}})
    page.get_by_text("Embedding again: 80 of 214").wait_for()
    assert page.locator("#steps").is_hidden()


def read_only(device, page, fake):
    device.change(gallery=device.state["gallery"] | {"writable": False})
    page.get_by_text("Teaching is off: the gallery cannot be written.").wait_for()
    assert page.locator("#hold").is_disabled()


def damaged(device, page, fake):
    device.change(gallery=device.state["gallery"] | {"writable": False, "state": "damaged"})
    page.get_by_text("The gallery is damaged").wait_for()
    page.get_by_role("button", name="Repair").click()
    page.wait_for_timeout(200)
    assert ("POST", "gallery/repair") in [call[:2] for call in device.calls]


def offline(device, page, fake):
    device.drop()
    page.get_by_text("The device does not answer", exact=True).wait_for()


def about(device, page, fake):
    live(device, page, fake)
    page.get_by_role("button", name="About this device").click()
    page.get_by_text("1280 × 720, 30.0 a second").wait_for()
    page.get_by_label("Forgotten things can be restored for").select_option("1440")
    page.get_by_role("button", name="Delete them now").click()
    page.get_by_role("button", name="Delete for good?").click()
    page.mouse.move(0, 0)
    page.wait_for_timeout(200)
    assert [call[:2] for call in device.calls][-2:] == [("PUT", "gallery/undo-minutes"), ("POST", "gallery/purge")]


def region(device, page, fake):
    page.get_by_role("button", name="Region", exact=True).click()
    page.get_by_role("button", name="Whole picture").wait_for()


def card(device, page, fake):
    page.get_by_role("button", name="More about mug").click()
    page.get_by_role("button", name="Merge").click()
    page.get_by_label("Merge mug into").wait_for()


def why(device, page, fake):
    nearest = [{"shot_id": i, "score": 0.9 - i / 100, "source": "0", "time_s": 0.0, "crop": True} for i in range(3)]
    sent = {"sentences": ["This is 'mug'."], "nearest": nearest, "timings_ms": {"total": 3.0}}
    device.answers["GET", "answers/900/explain"] = (200, fake.answer("mug") | sent)
    live(device, page, fake)
    page.get_by_role("button", name="Why?").click()
    page.get_by_text("cap, 0.310 behind").wait_for()
    assert page.locator("#why-body figure").count() == 4
    assert page.locator(".receipt").inner_text().split("\n")[-4:] == ["total", "12.2 ms", "frame age", "21 ms"]


def teaching(device, page, fake):
    page.keyboard.down("Space")
    thumb = PICTURE + base64.b64encode(fake.grey()).decode()
    for kept, reason in ((1, None), (1, "too dark"), (1, "too dark"), (2, None)):
        line = "4 more views"
        device.send(type="teach", camera="0", kept=kept, refused=2, accepted=reason is None, reason=reason, line=line,
                    thumb=thumb)  # fmt: skip
    page.get_by_text("too dark ×2").wait_for()
    page.get_by_text("4 more views").wait_for()
    page.wait_for_timeout(2000)  # the animations have ended


def undone(device, page, fake):
    device.change(redo=fake.operation(8, "forgot 'cup' (18 shots)"))
    page.get_by_role("button", name="Redo").wait_for()


STATES = (
    live, unknown, maybe, empty, no_camera, stalled, reconnecting, ended, other_model, read_only, damaged,
    offline, about, region, card, why, teaching, undone,
)  # fmt: skip
SIZES = {"desk": {"width": 1360, "height": 850}, "phone": {"width": 390, "height": 844}}
LOOKS = (("desk", "light"), ("phone", "dark"))


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_every_state_shows_its_text_and_is_accessible(state, shop, fake, open_device, accessible):
    expected = ("ERR_FAILED", "WebSocket") if state is offline else ()
    page = open_device(shop, reduced_motion="reduce", expected=expected)
    state(shop, page, fake)
    for size, scheme in LOOKS:
        page.set_viewport_size(SIZES[size])
        page.emulate_media(color_scheme=scheme)
        accessible(page)


def test_a_device_with_a_token_asks_for_it_and_opens_with_the_right_one(fake, open_device, accessible):
    device = fake.FakeDevice()
    device.answers["GET", "state"] = device.answers["POST", "login"] = UNAUTHORISED
    page = open_device(device, expected=("401",))
    page.get_by_label("Token", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_text("That is not the token of this device.").wait_for()
    accessible(page)
    page.keyboard.press("Escape")
    assert page.locator("#login-card").is_visible()
    del device.answers["GET", "state"], device.answers["POST", "login"]
    page.get_by_label("Token", exact=True).fill("right")
    page.keyboard.press("Enter")
    page.get_by_text("live", exact=True).wait_for()
    assert page.locator("#login-card").is_hidden()
    assert device.calls[-1] == ("POST", "login", {}, {"token": "right"})


def test_the_printed_link_logs_in_and_the_token_leaves_the_address(fake, open_page):
    device, page = fake.FakeDevice(), open_page()
    device.attach(page)
    page.goto(f"{fake.ORIGIN}/#token=secret")
    page.get_by_text("live", exact=True).wait_for()
    assert device.calls[0] == ("POST", "login", {}, {"token": "secret"})
    assert page.url == f"{fake.ORIGIN}/"


def test_the_page_reconnects_by_itself(shop, fake, open_device):
    page = open_device(shop, expected=("ERR_FAILED", "WebSocket"))
    offline(shop, page, fake)
    shop.online = True
    page.get_by_text("The device does not answer", exact=True).wait_for(state="hidden")
    live(shop, page, fake)


def test_a_live_picture_that_does_not_change_is_requested_again(shop, open_device):
    page = open_device(shop)
    assert shop.previews == 1
    for _ in range(40):
        page.wait_for_timeout(500)
        if shop.previews >= 2:
            return
    pytest.fail("it was not requested again within 20 seconds")


def test_a_name_never_becomes_html(fake, open_device):
    evil = "<img src=x onerror=\"document.title='hacked'\">"
    device = fake.FakeDevice(classes=[fake.taught(evil, 0)], undo=fake.operation(1, f"renamed {evil}"))
    page = open_device(device)
    device.send(**fake.answer(evil, candidate=evil, runner_up=evil))
    page.locator("#answer-label", has_text="onerror").wait_for()
    page.get_by_role("button", name="More about").click()
    assert page.locator("img[src=x]").count() == 0
    assert page.title() == "edgefs"


def test_answers_are_announced_politely_and_not_thirty_times_a_second(shop, fake, open_device):
    page = open_device(shop)
    page.evaluate(
        """() => { window.said = []; const spoken = document.getElementById('announcement');
        new MutationObserver(() => said.push(spoken.textContent)).observe(spoken, {childList: true}) }"""
    )
    start_s = time.monotonic()
    for i in range(60):
        shop.send(**fake.answer(("mug", "cap")[i % 2]))
        page.wait_for_timeout(30)
    assert 1 <= page.evaluate("said.length") <= 1 + (time.monotonic() - start_s) / 2
    assert page.locator("#announcement").get_attribute("aria-live") == "polite"


def test_a_flood_of_answers_shows_the_newest(shop, fake, open_device):
    page = open_device(shop)
    for i in range(300):
        shop.send(**fake.answer(f"mug {i}"))
    page.get_by_text("mug 299", exact=True).wait_for()


@pytest.mark.parametrize("name_first", [True, False], ids=["named before", "named after"])
def test_hold_to_teach_asks_for_the_name_only_if_none_was_typed(name_first, shop, open_device):
    stop = ("POST", "cameras/0/teach/stop")
    page = open_device(shop)
    if name_first:
        page.get_by_label("Name", exact=True).fill("pen")
    page.locator("#hold").hover()
    page.mouse.down()
    page.get_by_text("Let go when done").wait_for()
    for kept in (1, 2, 3):
        shop.send(type="teach", camera="0", kept=kept, refused=0, accepted=True, reason=None, line="good", thumb=None)
    page.locator("#kept", has_text="3").wait_for()
    shop.answers[stop] = (200, {"label": "pen", "accepted": [{}, {}, {}], "rejected": [], "advice": []})
    page.mouse.up()
    if not name_first:
        page.get_by_role("button", name="Keep 3 views").wait_for()
        assert page.get_by_role("button", name="Keep 3 views").is_disabled()
        page.keyboard.type("pen")
        page.keyboard.press("Enter")
    page.get_by_text("pen: 3 views kept").wait_for()
    begin, end = (
        ("cameras/0/teach", {"label": "pen" if name_first else None}),
        ("cameras/0/teach/stop", {"label": "pen"}),
    )
    sent = [(path, body) for _, path, _, body in shop.calls]
    assert sent == ([begin, end] if name_first else [begin, ("cameras/0/teach/pause", None), end])


def test_what_was_kept_is_not_lost_when_storing_fails(shop, open_device):
    page = open_device(shop, expected=("507",))
    page.get_by_label("Name", exact=True).fill("pen")
    full = (507, {"error": {"type": "GalleryUnwritable", "message": "the disk is full"}})
    shop.answers["POST", "cameras/0/teach/stop"] = full
    page.locator("body").press("Tab")
    page.locator("#hold").focus()
    page.keyboard.press("Enter")
    shop.send(type="teach", camera="0", kept=2, refused=0, accepted=True, reason=None, line="good", thumb=None)
    page.locator("#kept", has_text="2").wait_for()
    page.keyboard.press("Enter")
    page.get_by_text("the disk is full").wait_for()
    page.get_by_role("button", name="Keep 2 views").wait_for()
    assert page.get_by_label("Name", exact=True).input_value() == "pen"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Hold to teach").wait_for()
    assert shop.calls[-1][:2] == ("DELETE", "cameras/0/teach")


def hold_with_a_finger(page, fake, shop):
    """Hold the button with a finger, keep two views, and release, all without a name."""
    box = page.locator("#hold").bounding_box()
    finger = {"x": box["x"] + box["width"] * 0.75, "y": box["y"] + box["height"] / 2}
    touch = page.context.new_cdp_session(page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [finger]})
    page.get_by_text("Let go when done").wait_for()
    for kept in (1, 2):
        shop.send(type="teach", camera="0", kept=kept, refused=0, accepted=True, reason=None, line="good", thumb=None)
    page.locator("#kept", has_text="2").wait_for()
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    return finger


def test_releasing_the_button_on_a_phone_never_discards_the_shots(shop, fake, open_device):
    page = open_device(shop, "phone")
    for _ in range(20):
        finger = hold_with_a_finger(page, fake, shop)
        page.get_by_role("button", name="Keep 2 views").wait_for()
        page.wait_for_timeout(50)
        assert page.locator("#teach.naming").is_visible()
        under = page.evaluate("({x, y}) => document.elementFromPoint(x, y).closest('button')?.id", finger)
        assert under != "discard"
        assert "DELETE" not in [method for method, *_ in shop.calls]
        page.touchscreen.tap(**center(page, "#discard"))
        page.get_by_role("button", name="Hold to teach").wait_for()
        page.wait_for_timeout(20)
        assert shop.calls.pop()[0] == "DELETE"


def center(page, selector):
    box = page.locator(selector).bounding_box()
    return {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}


def test_the_click_that_ends_a_hold_presses_nothing_else(shop, fake, open_device):
    page = open_device(shop)
    page.locator("#hold").hover()
    page.mouse.down()
    shop.send(type="teach", camera="0", kept=1, refused=0, accepted=True, reason=None, line="good", thumb=None)
    page.locator("#kept", has_text="1").wait_for()
    page.mouse.move(**center(page, "#undo"))
    page.mouse.up()
    page.get_by_role("button", name="Keep 1 view").wait_for()
    page.wait_for_timeout(50)
    assert [path for _, path, _, _ in shop.calls] == ["cameras/0/teach", "cameras/0/teach/pause"]
    page.locator("#undo").click()  # a press of its own counts
    page.wait_for_timeout(50)
    assert shop.calls[-1][1] == "undo"


def test_the_first_session_suggests_the_region_in_which_something_moves(shop, fake, open_device, accessible):
    page = open_device(shop)
    empty(shop, page, fake)
    box = {"x": 0.3, "y": 0.2, "w": 0.3, "h": 0.5}
    page.get_by_label("Name", exact=True).fill("pen")
    page.locator("#hold").focus()
    page.keyboard.press("Enter")
    for kept in (1, 2, 3):
        shop.send(type="teach", camera="0", kept=kept, refused=0, accepted=True, reason=None, line="good", thumb=None,
                  region=box)  # fmt: skip
    page.locator("#suggestion").wait_for()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Learn only this part").wait_for()
    accessible(page)
    page.get_by_role("button", name="Learn only this part").click()
    page.get_by_text("Only this part is learned and looked at").wait_for()
    assert shop.calls[-1] == ("POST", "cameras/0/teach/region", {}, {"region": box})
    assert page.locator("#suggestion").is_hidden()
    page.get_by_role("button", name="Keep 3 views").click()
    page.wait_for_timeout(100)
    assert shop.calls[-1] == ("POST", "cameras/0/teach/stop", {}, {"label": "pen"})
    shop.change(classes=[fake.taught("pen", 0)])
    page.locator("#hold").focus()
    page.keyboard.press("Enter")
    shop.send(type="teach", camera="0", kept=1, refused=0, accepted=True, reason=None, line="good", thumb=None,
              region=box)  # fmt: skip
    page.locator("#kept", has_text="1").wait_for()
    assert page.locator("#suggestion").is_hidden(), "only in the first session"


def test_a_late_frame_does_not_replace_the_question_for_the_name(shop, fake, open_device):
    page = open_device(shop)
    page.locator("body").press("Tab")
    page.locator("#hold").focus()
    page.keyboard.press("Enter")
    shop.send(type="teach", camera="0", kept=1, refused=0, accepted=True, reason=None, line="good", thumb=None)
    page.locator("#kept", has_text="1").wait_for()
    page.keyboard.press("Enter")
    page.locator("#coach", has_text="What is it?").wait_for()
    shop.send(type="teach", camera="0", kept=2, refused=0, accepted=True, reason=None, line="4 more views", thumb=None)
    page.get_by_role("button", name="Keep 2 views").wait_for()
    page.wait_for_timeout(500)
    assert page.locator("#coach").inner_text() == "What is it?"


def test_escape_does_not_blame_another_browser(shop, fake, open_device):
    page = open_device(shop)
    page.evaluate(
        """() => { window.lines = []; const coach = document.getElementById('coach');
        new MutationObserver(() => lines.push(coach.textContent)).observe(coach, {childList: true}) }"""
    )
    page.keyboard.down("Space")
    shop.change(cameras=[fake.camera(teaching=True)])
    shop.send(type="teach", camera="0", kept=1, refused=0, accepted=True, reason=None, line="good", thumb=None)
    page.locator("#kept", has_text="1").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Hold to teach").wait_for()
    page.wait_for_timeout(300)
    shop.change(cameras=[fake.camera()])
    page.wait_for_timeout(100)
    assert not [line for line in page.evaluate("lines") if "Another browser" in line]
    shop.change(cameras=[fake.camera(teaching=True)])  # now it really is another one
    page.get_by_text("Another browser is teaching now.").wait_for()


def test_the_undo_of_a_message_means_that_change_and_no_other(shop, fake, open_device):
    page = open_device(shop, expected=("409",))
    shop.answers["DELETE", "classes"] = (200, {"what": "forgot cap and its 14 shots", "operation": 8})
    page.get_by_role("button", name="More about cap").click()
    page.get_by_role("button", name="Forget").click()
    shop.change(undo=fake.operation(9, "renamed 'mug' to 'cup'"))  # another browser
    newer = "Change 8 must be the newest to be undone, but the newest is 9: renamed 'mug' to 'cup'."
    shop.answers["POST", "undo"] = (409, {"error": {"type": "StaleOperation", "message": newer}})
    page.locator("#notices").get_by_role("button", name="Undo").click()
    page.get_by_text(newer).wait_for()
    assert shop.calls[-1] == ("POST", "undo", {}, {"id": 8})
    shop.answers["POST", "undo"] = (200, {"what": "undone: renamed 'mug' to 'cup'", "operation": None})
    page.locator("#undo").click()
    page.get_by_text("Undone: renamed").wait_for()
    assert shop.calls[-1] == ("POST", "undo", {}, {"id": 9})
    shop.answers["POST", "redo"] = (200, {"what": "redone: renamed 'mug' to 'cup'", "operation": 9})
    page.locator("#notices").get_by_role("button", name="Redo").click()
    page.get_by_text("Redone: renamed").wait_for()
    assert shop.calls[-1] == ("POST", "redo", {}, {"id": 9})
    shop.change(redo=fake.operation(10, "forgot 'lid' (3 shots)"))
    page.locator("#redo").click()
    page.wait_for_timeout(100)
    assert shop.calls[-1] == ("POST", "redo", {}, {"id": 10})


def test_an_answer_that_may_be_right_is_confirmed_rejected_or_corrected(shop, fake, open_device):
    page = open_device(shop)
    shop.answers["POST", "answers/900/confirm"] = (
        200,
        {"label": "mug", "accepted": [{"index": 0, "shot_id": 5}], "rejected": [], "advice": [], "operation": 9},
    )
    maybe(shop, page, fake)
    assert page.locator("#not-this").is_hidden()
    page.get_by_role("button", name="Yes").click()
    page.get_by_text("This view is mug now").wait_for()
    assert shop.calls[-1] == ("POST", "answers/900/confirm", {}, {"label": None})
    page.get_by_role("button", name="No", exact=True).click()
    page.get_by_text("This view is not mug").wait_for()
    assert shop.calls[-1][:2] == ("POST", "answers/900/reject")
    page.get_by_role("button", name="It is…").click()
    page.get_by_label("Name of this thing").fill("cap")
    page.keyboard.press("Enter")
    page.wait_for_timeout(100)
    assert shop.calls[-1] == ("POST", "answers/900/confirm", {}, {"label": "cap"})


def test_text_bar_and_reason_never_contradict_each_other(shop, fake, open_device):
    page = open_device(shop)
    live(shop, page, fake)
    flicker = {"label": None, "certainty": "unknown", "check": "score", "score": 0.2}  # of one frame
    shop.send(**(fake.answer("mug") | flicker))
    page.wait_for_timeout(100)
    assert page.locator("#answer-label").inner_text() == "mug"
    assert page.locator("#score").get_attribute("class") == "bar sure"
    assert page.locator("#because").inner_text() == "0.83, needs 0.61"
    unknown(shop, page, fake)
    assert page.locator("#score").get_attribute("class") == "bar unknown"


def test_a_class_that_looks_like_another_can_be_merged_after_teaching(shop, fake, open_device, accessible):
    similar = [{"label": "mug", "score": 0.97}]
    enrolled = {"label": "cup", "accepted": [{"index": 0, "shot_id": 40}], "rejected": [], "advice": [], "operation": 9}
    shop.answers["GET", "visits"] = shop.answers["GET", "visits/statistics"] = (200, [])
    shop.answers["POST", "inbox/1/name"] = (200, enrolled | {"similar": similar})
    page = open_device(shop)

    page.get_by_role("button", name="Review", exact=True).click()

    def name():
        page.get_by_label("Name of this stranger").fill("cup")
        page.get_by_role("button", name="Name", exact=True).click()
        page.get_by_text("cup looks like mug (0.97): the same thing?").wait_for()

    name()
    accessible(page)
    page.get_by_role("button", name="Keep both").click()
    assert shop.calls[-1][1] == "inbox/1/name"
    name()
    page.get_by_role("button", name="Merge", exact=True).click()
    page.get_by_text("cup is now part of mug").wait_for()
    assert shop.calls[-1] == ("POST", "classes/merge", {}, {"label": "cup", "into": "mug"})


def test_a_space_in_a_name_is_a_space(shop, open_device):
    page = open_device(shop)
    page.get_by_label("Name", exact=True).press_sequentially("red mug")
    assert page.get_by_label("Name", exact=True).input_value() == "red mug"
    assert shop.calls == []


def test_not_this_shows_what_it_changes_before_it_applies(shop, fake, open_device):
    changes = [{"answer": i, "before": "mug", "after": "unknown"} for i in range(12)]
    shop.answers["POST", "answers/900/reject/preview"] = (200, {"of": 900, "changes": changes})
    page = open_device(shop)
    live(shop, page, fake)
    page.get_by_role("button", name="Not this").click()
    page.get_by_text("This changes 12 of the last 900 answers.").wait_for()
    assert page.locator("#reject-body figure").count() == 12
    page.get_by_role("button", name="Cancel").click()
    assert [path for _, path, _, _ in shop.calls] == ["answers/900/reject/preview"]
    page.get_by_role("button", name="Not this").click()
    page.get_by_role("button", name="Apply").click()
    page.get_by_text("This view is not mug").wait_for()
    assert shop.calls[-1][:2] == ("POST", "answers/900/reject")


def test_the_region_is_drawn_by_pointer_and_moved_by_keys(shop, fake, open_device):
    page = open_device(shop)
    page.get_by_role("button", name="Region", exact=True).click()
    box = page.locator("#stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + box["height"] * 0.1)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.6, steps=4)
    page.mouse.up()
    page.wait_for_timeout(400)
    drawn = shop.calls[-1][3]["region"]
    assert drawn == pytest.approx({"x": 0.1, "y": 0.1, "w": 0.4, "h": 0.5}, abs=0.01)
    shop.change(cameras=[fake.camera(region=drawn)])
    page.locator("#region").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    page.wait_for_timeout(400)
    moved = shop.calls[-1][3]["region"]
    assert moved == pytest.approx({"x": 0.12, "y": 0.1, "w": 0.4, "h": 0.52}, abs=0.01)
    page.keyboard.press("Delete")
    page.wait_for_timeout(400)
    assert shop.calls[-1] == ("PUT", "cameras/0/region", {}, {"region": None})


def test_a_region_gets_a_name_and_shows_its_own_answer(shop, fake, open_device, accessible):
    page = open_device(shop)
    live(shop, page, fake)
    page.get_by_role("button", name="Region", exact=True).click()
    page.get_by_role("button", name="Name this region").click()
    accessible(page)
    page.get_by_role("textbox", name="Name this region").fill("shelf")
    page.keyboard.press("Enter")
    page.locator("#region").wait_for(state="hidden")
    page.wait_for_timeout(400)
    named = {"name": "shelf", "region": {"x": 0.2, "y": 0.15, "w": 0.6, "h": 0.7}}
    puts = [call for call in shop.calls if call[0] == "PUT"]
    assert ("PUT", "cameras/0/regions", {}, {"regions": [named]}) in puts
    assert puts[-1] == ("PUT", "cameras/0/region", {}, {"region": None}), "the rest is still looked at"
    page.get_by_role("button", name="Done").click()
    shop.change(cameras=[fake.camera(regions=[named])])
    shop.send(type="region", camera="0", region="shelf", id=901, stable=None, suggestion="cap", certainty="maybe",
              candidate="cap", score=0.5, threshold=0.6, age_ms=20.0)  # fmt: skip
    page.get_by_text("shelf: cap?").wait_for()
    assert page.locator("#answer-label").inner_text() == "mug"
    accessible(page)
    page.get_by_role("button", name="Region", exact=True).click()
    page.get_by_role("button", name="Remove the region shelf").click()
    page.wait_for_timeout(400)
    assert ("PUT", "cameras/0/regions", {}, {"regions": []}) in shop.calls


def test_a_region_stays_with_the_camera_it_was_drawn_on(shop, fake, open_device):
    page = open_device(shop)
    shop.change(cameras=[fake.camera(), fake.camera("1", name="belt")])
    page.get_by_role("button", name="Region", exact=True).click()
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="belt").click()
    page.wait_for_timeout(500)
    assert [path for method, path, _, _ in shop.calls if method == "PUT"] == ["cameras/0/region"]
    assert page.locator("#region").is_hidden()


def test_a_single_class_can_be_renamed_and_forgotten_but_not_merged(fake, open_device):
    page = open_device(fake.FakeDevice(classes=[fake.taught("mug", 0)]))
    page.get_by_role("button", name="More about mug").click()
    page.get_by_role("button", name="Forget").wait_for()
    assert page.locator("#classes .acts button").all_inner_texts() == ["Rename", "Forget", "Delete for good now"]


def test_each_of_several_cameras_has_its_own_answer(shop, fake, open_device):
    page = open_device(shop)
    shop.change(cameras=[fake.camera(), fake.camera("1", name="belt", state="stalled", frame_age_s=9)])
    page.get_by_role("button", name="belt").wait_for()  # an answer that comes before the cameras are known is not shown
    shop.send(**fake.answer("mug"))
    shop.send(**fake.answer("cap", camera="1"))
    page.locator("#answer-label", has_text="mug").wait_for()
    page.get_by_role("button", name="belt").click()
    page.get_by_text(LAST_FRAME).wait_for()
    shop.send(type="camera", **fake.camera("1", name="belt"))
    page.locator("#answer-label", has_text="cap").wait_for()
    assert page.url.endswith("#camera=1")  # a reload stays with it


def test_an_open_card_and_its_focus_survive_what_others_change(shop, fake, open_device):
    page = open_device(shop)
    page.get_by_role("button", name="More about mug").click()
    page.get_by_role("button", name="Rename").click()
    page.keyboard.type("cup")
    shop.change(classes=[fake.taught("new", 30), *shop.state["classes"]])
    page.get_by_role("button", name="More about new").wait_for()
    assert page.get_by_label("New name of mug").input_value() == "cup"
    page.keyboard.press("Enter")
    page.get_by_text("mug is now cup").wait_for()
    assert shop.calls[-1] == ("PATCH", "classes", {"label": "mug"}, {"label": "cup"})


def test_every_control_is_large_enough_for_fingers_on_a_phone(shop, fake, open_device):
    page = open_device(shop, "phone")
    live(shop, page, fake)
    page.get_by_role("button", name="More about mug").click()
    small = page.evaluate(
        """() => [...document.querySelectorAll('button, a, input, select, label.square')]
        .filter((e) => e.checkVisibility() && e.type !== 'file').map((e) => [e.getBoundingClientRect(), e])
        .filter(([box]) => box.width && Math.min(box.width, box.height) < 44).map(([, e]) => e.outerHTML)"""
    )
    assert small == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_nothing_moves_for_people_who_asked_for_less_motion(shop, fake, open_device):
    page = open_device(shop, reduced_motion="reduce")
    page.keyboard.down("Space")
    page.get_by_text("Let go when done").wait_for()
    shop.send(type="teach", camera="0", kept=1, refused=0, accepted=True, reason=None, line="good", thumb=None)
    page.locator("#frames li").wait_for()
    assert page.evaluate("document.getAnimations().length") == 0
