"""The rules of a site: what events say is the same on every device, in whatever steps they arrive."""

from __future__ import annotations

import random
import time

import pytest

from runtime.fleet.events import Event, EventKey, ShotKey
from runtime.fleet.fold import MAX_UNKNOWN_FRAMES, State, Timeline, fold


class Site:
    """Makes events in the order of a site. `seen` is what their maker knew; None means everything before."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def make(self, origin: str, kind: str, seen: int | None = None, **body) -> EventKey:
        key = EventKey(origin, 1 + sum(event.key.origin == origin for event in self.events))
        seq = len(self.events) + 1
        self.events.append(Event(key, kind, body, seq - 1 if seen is None else seen, f"{kind} {body}", 0.0, seq))
        return key

    def teach(self, origin: str, label: str | None, count: int = 1, seen: int | None = None, negative: bool = False):
        return self.make(origin, "teach", seen, shots=[[label, negative, count]])

    def final(self, origin: str, event: EventKey, *shots: ShotKey) -> EventKey:
        return self.make(origin, "final", event=[*event], shots=[[*shot] for shot in shots])

    @property
    def state(self) -> State:
        return fold(self.events)

    @property
    def labels(self) -> dict[str, int]:
        return {label: len(shots) for label, shots in self.state.classes.items()}

    @property
    def conflicts(self) -> list[str]:
        return [conflict.text for conflict in self.state.conflicts]


@pytest.fixture
def site():
    return Site()


def test_a_name_taught_at_two_places_is_one_class(site):
    site.teach("a", "mug", 2)
    site.teach("b", "mug", 3, seen=0)
    assert site.labels == {"mug": 5}
    assert site.conflicts == []


def test_a_rename_loses_against_an_earlier_forget_and_takes_effect_when_that_is_undone(site):
    site.teach("a", "mug")
    forget = site.make("a", "forget", label="mug")
    rename = site.make("b", "rename", seen=1, label="mug", to="cup")
    assert site.labels == {}
    (conflict,) = site.state.conflicts
    assert (conflict.event, conflict.other) == (rename, forget)
    site.make("a", "undo", event=[*forget])
    assert site.labels == {"cup": 1}
    assert site.conflicts == []


def test_a_forget_reaches_a_class_that_was_renamed_without_its_maker_knowing(site):
    site.teach("a", "mug")
    site.make("a", "rename", label="mug", to="cup")
    site.make("b", "forget", seen=1, label="mug")
    assert site.labels == {}
    assert site.conflicts == ["'mug' was called 'cup' elsewhere, so 'cup' was changed"]


def test_what_is_taught_under_an_old_name_joins_the_class_of_the_new_name(site):
    site.teach("a", "mug")
    site.make("a", "rename", label="mug", to="cup")
    site.teach("b", "mug", seen=1)
    assert site.labels == {"cup": 2}
    site.teach("b", "mug")
    assert site.labels == {"cup": 2, "mug": 1}, "who knows of the new name means a new class"


def test_teaching_again_what_was_forgotten_elsewhere_is_a_conflict(site):
    site.teach("a", "mug")
    site.make("a", "forget", label="mug")
    site.teach("b", "mug", 2, seen=1)
    assert site.labels == {"mug": 2}
    assert site.conflicts == ["'mug' was forgotten at one place and was taught again at another"]


def test_a_forget_takes_what_was_taught_meanwhile_and_says_so(site):
    site.teach("a", "mug")
    late = site.teach("b", "mug")
    site.make("a", "forget", seen=1, label="mug")
    assert site.labels == {}
    assert [conflict.event for conflict in site.state.conflicts] == [late]


def test_two_names_for_one_class_and_one_name_for_two_classes(site):
    site.teach("a", "mug")
    site.teach("a", "bowl")
    site.make("a", "rename", label="mug", to="cup")
    site.make("b", "rename", seen=2, label="mug", to="beaker")
    assert site.labels == {"beaker": 1, "bowl": 1}
    site.make("c", "rename", seen=2, label="bowl", to="beaker")
    assert site.labels == {"beaker": 1, "bowl": 1}
    assert len(site.conflicts) == 2
    assert "taken" in site.conflicts[-1]


def test_an_undo_can_be_undone(site):
    site.teach("a", "mug")
    merge_into = site.teach("a", "cup")
    merge = site.make("a", "merge", label="cup", into="mug")
    undo = site.make("a", "undo", event=[*merge])
    assert site.labels == {"mug": 1, "cup": 1}
    again = site.make("a", "undo", event=[*undo])
    assert site.labels == {"mug": 2}
    site.make("b", "undo", event=[*again])
    site.make("b", "undo", event=[*merge_into])
    assert site.labels == {"mug": 1}
    assert site.state.removed[ShotKey(*merge_into, 0)].origin == "b"


def test_what_is_final_does_not_come_back_and_an_undo_before_it_prevents_it(site):
    one = site.teach("a", "mug", 2)
    forget = site.make("a", "forget", label="mug")
    site.final("a", forget, ShotKey(*one, 0))
    site.make("a", "undo", event=[*forget])
    assert site.labels == {"mug": 1}
    assert site.state.dead == {ShotKey(*one, 0)}
    forget = site.make("a", "forget", label="mug")
    site.make("b", "undo", event=[*forget])
    site.final("a", forget, ShotKey(*one, 1))
    assert site.labels == {"mug": 1}, "the final event came after the undo, and has no effect"


def test_a_class_whose_shots_were_all_removed_is_gone_with_its_negative_examples(site):
    one = site.teach("a", "mug", 2)
    no = site.teach("a", "mug", negative=True)
    site.make("a", "remove", shot=[*one, 0])
    site.make("b", "remove", seen=3, shot=[*one, 1])
    assert site.labels == {}
    assert ShotKey(*no, 0) in site.state.removed
    site.make("b", "remove", seen=3, shot=[*one, 0])
    assert site.conflicts == ["the shot was removed elsewhere"]


def test_a_shot_moves(site):
    one = site.teach("a", "mug", 2)
    site.teach("a", "cup")
    site.make("a", "move", shot=[*one, 0], to="cup")
    assert site.labels == {"mug": 1, "cup": 2}


def test_only_the_newest_unknown_frames_count(site):
    site.teach("a", None, MAX_UNKNOWN_FRAMES + 3)
    assert len(site.state.unknown) == MAX_UNKNOWN_FRAMES
    assert [key.i for key in site.state.removed] == [0, 1, 2]


def random_events(rng: random.Random, count: int) -> list[Event]:
    """Events of three devices of which each knew only a part of what came before, as after days without network."""
    site, labels = Site(), ["mug", "cup", "bowl", "plate"]
    for _ in range(count):
        origin, seq = rng.choice("abc"), len(site.events)
        seen = seq - rng.choice([0, 0, 1, 3, 9]) if seq > 9 else 0
        known = [event for event in site.events if (event.seq or 0) <= seen or event.key.origin == origin]
        kind = rng.choice(["teach"] * 5 + ["rename", "merge", "forget", "remove", "move", "undo", "undo", "final"])
        taught = [key for event in known if event.kind == "teach" for key, _, _ in event.taught()]
        if kind == "teach" or not known or not taught:
            site.teach(origin, rng.choice([*labels, None]), rng.randint(1, 3), seen, rng.random() < 0.2)
        elif kind in ("rename", "merge"):
            one, other = rng.sample(labels, 2)
            site.make(origin, kind, seen, label=one, **{"to" if kind == "rename" else "into": other})
        elif kind == "forget":
            site.make(origin, kind, seen, label=rng.choice(labels))
        elif kind in ("remove", "move"):
            body = {"to": rng.choice(labels)} if kind == "move" else {}
            site.make(origin, kind, seen, shot=[*rng.choice(taught)], **body)
        elif kind == "undo":
            site.make(origin, kind, seen, event=[*rng.choice(known).key])
        else:
            removed = fold(known).removed
            by = rng.choice([*removed.values(), known[-1].key])
            shots = [key for key, event in removed.items() if event == by]
            site.make(origin, kind, seen, event=[*by], shots=[[*key] for key in shots])
    return site.events


def said(state: State):
    """Everything of a state that devices must agree on."""
    classes = {label: list(shots) for label, shots in state.classes.items()}
    return (
        [classes, list(classes)], state.places, list(state.unknown), state.removed, state.dead, state.settings,
        state.conflicts,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_every_device_ends_in_the_same_state_in_whatever_steps_it_learns_of_the_events(seed):
    rng = random.Random(seed)
    events = random_events(rng, 60)
    wanted = said(fold(events))
    for own in "abc":
        timeline, done = Timeline(), 0
        while done < len(events):
            step = events[done : done + rng.randint(1, 5)]
            for event in events[done:]:  # an own event is applied before the site has it, without a place
                known = [one.key for one in (*timeline.confirmed, *timeline.unsent)]
                before = [one.key for one in events if one.key.origin == own and one.key < event.key]
                is_next = event.key.origin == own and event.key not in known and set(before) <= set(known)
                if is_next and event.seen <= done:
                    timeline.append(Event(event.key, event.kind, event.body, event.seen, event.what))
            timeline.confirm(step)
            done += len(step)
        assert timeline.unsent == []
        assert said(timeline.state) == wanted


@pytest.mark.parametrize("seed", range(40))
def test_the_places_and_the_classes_say_the_same_and_dead_shots_are_nowhere(seed):
    state = fold(random_events(random.Random(seed), 60))
    listed = {key: label for label, shots in state.classes.items() for key in shots}
    assert listed == {key: place[0] for key, place in state.places.items() if place}
    assert all(any(not state.places[key][1] for key in shots) for shots in state.classes.values())
    assert not state.dead & (state.places.keys() | state.removed.keys() | state.unknown.keys())
    assert {key for key, place in state.places.items() if not place} == state.removed.keys() | state.unknown.keys()


def test_100_000_shots_are_folded_in_well_under_a_second():
    site = Site()
    site.events = [
        Event(EventKey(f"d{n % 50}", n), "teach", {"shots": [[f"class {n % 1000}", False, 10]]}, n, "", 0.0, n)
        for n in range(1, 10_001)
    ]
    start = time.process_time()
    state = site.state
    assert len(state.places) == 100_000
    assert time.process_time() - start < 1.0
