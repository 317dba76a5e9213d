"""The keys of the window."""

from __future__ import annotations

from runtime.app.outputs.keys import Keys


def test_space_begins_and_ends_teaching_and_enter_stores_the_typed_name():
    keys = Keys()
    pressed = [keys.press(ord(char)) for char in " "]
    assert pressed[0].what == "teach"
    assert keys.press(-1) is None
    assert keys.press(ord(" ")).what == "pause"
    typed = [keys.press(key) for key in (*b"mux", 8, *b"g 2", 13)]
    assert typed[-1].what == "store"
    assert typed[-1].label == "mug 2"
    assert all(action is None for action in typed[:-1])
    assert keys.mode == "idle"


def test_escape_discards_and_then_quits():
    keys = Keys()
    keys.press(ord(" "))
    assert keys.press(27).what == "cancel"
    assert keys.press(27).what == "quit"
    assert [keys.press(ord(key)).what for key in "ynurq\t"] == ["confirm", "reject", "undo", "redo", "quit", "next"]
    assert keys.press(ord("x")) is None


def test_an_empty_name_is_not_stored_and_keys_are_letters_while_naming():
    keys = Keys()
    keys.press(ord(" "))
    keys.press(13)
    assert keys.press(13) is None
    assert keys.press(ord("q")) is None
    assert "name: q_" in keys.line()
