"""Which changes a device may make, undo, redo, and delete for good."""

import pytest

from runtime.fleet.events import Event, EventKey, ShotKey
from runtime.fleet.fold import fold
from runtime.fleet.history import allowed, due, may_take_back, redoable, reversible, undoable

BODIES = {"forget": {"label": "mug"}, "rename": {"label": "mug", "to": "cup"}, "set": {"name": "x", "value": 1}}


def made(*changes):
    events = []
    for n, change in enumerate(changes, 1):
        kind, body = change if isinstance(change, tuple) else (change, BODIES[change])
        events.append(Event(EventKey("a", n), kind, body, n - 1, "", 0.0, n))
    return events


def teach(label="mug"):
    return "teach", {"shots": [[label, False, 1]]}


def undo(n):
    return "undo", {"event": ["a", n]}


def numbers(events):
    return [event.key.n for event in events]


@pytest.mark.parametrize(
    ("changes", "can_undo", "can_redo"),
    [
        ([teach(), "rename"], [2, 1], []),
        ([teach(), "rename", undo(2)], [1], [3]),
        ([teach(), "rename", undo(2), undo(1)], [], [4, 3]),
        ([teach(), "rename", undo(2), undo(3)], [2, 1], []),
        ([teach(), "rename", undo(2), undo(1), undo(4)], [1], [3]),
        ([teach(), "rename", undo(2), teach()], [4, 1], []),
        ([teach(), "set", teach(None)], [1], []),
        ([teach(), "forget", ("final", {"event": ["a", 2], "shots": [["a", 1, 0]]}), teach()], [4], []),
    ],
)
def test_the_newest_change_is_undone_first_and_redone_last(changes, can_undo, can_redo):
    events = made(*changes)
    state = fold(events)
    assert (numbers(undoable(state, events)), numbers(redoable(state, events))) == (can_undo, can_redo)


def test_only_the_newest_100_changes_can_be_undone():
    events = made(*[teach()] * 105)
    assert numbers(undoable(fold(events), events)) == list(range(105, 5, -1))


def test_what_was_removed_is_due_by_the_age_of_the_change_that_removed_it():
    state = fold(made(teach(), "forget", teach("cup"), undo(3)))
    old = EventKey("a", 2)
    assert due(state, lambda key: key == old) == {old: [ShotKey("a", 1, 0)]}
    assert set(due(state, lambda _: True)) == {old, EventKey("a", 4)}


def test_each_role_may_more_than_the_one_before():
    kinds = ("teach", "undo", "forget", "final", "set")
    may = {role: [kind for kind in kinds if allowed(role, kind)] for role in ("viewer", None, "device", "teacher")}
    assert may == {"viewer": [], None: ["teach", "undo"], "device": ["teach", "undo"], "teacher": list(kinds)}


def test_what_does_not_count_any_more_and_settings_cannot_be_taken_back():
    state = fold(made(teach(), "rename", "forget", undo(2), "set"))
    assert [reversible(state, EventKey("a", n)) for n in range(1, 7)] == [True, False, True, True, False, False]


@pytest.mark.parametrize(
    ("role", "own", "of_others"),
    [("teacher", True, True), ("device", True, False), (None, True, False), ("viewer", False, False)],
)
def test_only_a_teacher_takes_back_the_changes_of_others(role, own, of_others):
    """The database would refuse such an event of a device for ever, and everything that the device sends after it."""
    assert may_take_back(role, "a/1", EventKey("a/1", 7)) is own
    assert may_take_back(role, "a/1", EventKey("b/1", 7)) is of_others
