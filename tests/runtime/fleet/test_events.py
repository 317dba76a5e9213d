"""Events are stored as text and read back as they were."""

import pytest

from runtime.fleet.events import Event, EventKey, ShotKey

KEY = EventKey("a/1", 3)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("teach", {"shots": [["杯子", False, 2], [None, False, 1]]}),
        ("rename", {"label": "mug", "to": "cup"}),
        ("final", {"event": ["a/1", 2], "shots": [["a/1", 1, 0]]}),
    ],
)
def test_an_event_is_the_same_after_storing(kind, body):
    event = Event(KEY, kind, body, 7, "what it was", 1.5, 9)
    assert Event.parsed(KEY, event.text(), seen=7, time_s=1.5, seq=9) == event


def test_the_shots_of_a_teaching_event_are_counted_through():
    event = Event(KEY, "teach", {"shots": [["mug", False, 2], ["mug", True, 1]]})
    assert list(event.taught()) == [
        (ShotKey("a/1", 3, 0), "mug", False),
        (ShotKey("a/1", 3, 1), "mug", False),
        (ShotKey("a/1", 3, 2), "mug", True),
    ]
    assert ShotKey("a/1", 3, 2).event == KEY


def test_a_final_event_names_its_shots_and_brings_none():
    event = Event(KEY, "final", {"event": ["b/1", 2], "shots": [["b/1", 1, 4]]})
    assert (event.target, event.doomed, list(event.taught())) == (EventKey("b/1", 2), [ShotKey("b/1", 1, 4)], [])
    assert Event(KEY, "move", {"shot": ["b/1", 1, 4], "to": "cup"}).shot == ShotKey("b/1", 1, 4)
