"""What the device reports: every message says what it is, and can be read back."""

from __future__ import annotations

import msgspec
import pytest

from runtime.app.core.messages import Camera, Event, GalleryState, Operation, State, Teach

CAMERA = Camera("0", "door", "live", "", 30.0, 640, 480, None, 0.02, 0, teaching=False)


@pytest.mark.parametrize(
    ("message", "kind"),
    [(CAMERA, "camera"), (Teach("0", 1, 0, accepted=True, reason=None, line="", thumb=None), "teach")],
)
def test_a_message_names_its_type_and_is_read_back_as_it_was(message, kind):
    text = msgspec.json.encode(message)
    assert msgspec.json.decode(text)["type"] == kind
    assert msgspec.json.decode(text, type=Event) == message


def test_the_state_holds_cameras_that_say_what_they_are():
    undo = Operation(7, 0.0, "forgot 'cup'")
    gallery = GalleryState(None, writable=True, classes=0, mismatch=None)
    state = State("shop", None, gallery, [CAMERA], [], [], undo, None, 0.05, 1)  # type: ignore[arg-type]
    plain = msgspec.to_builtins(state)
    assert (plain["type"], plain["cameras"][0]["type"], plain["undo"]["id"]) == ("state", "camera", 7)
