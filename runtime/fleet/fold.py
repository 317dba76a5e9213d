"""What a site knows, computed from its events alone: no file, no network, no clock.

The rules, which are the same on every device, so that all devices end in the same state:

1. Events count in the order of the site. A device adds its own unsent events after those.
2. A name taught at two places is one class.
3. A label means the class that its maker saw. If another device renamed or merged that class meanwhile, the change is
   made to the class of the new name.
4. A change to a class that is gone has no effect, and a new name that is taken is refused: the earlier change of the
   site's order wins. What lost is listed as a conflict; undoing the winner lets the loser take effect.
5. An undo is an event that says that another event does not count; a redo is the undo of an undo.
6. Shots that were removed can come back until a final event names them. They are deleted for good then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from runtime.fleet.events import Event, EventKey, Place, ShotKey

MAX_UNKNOWN_FRAMES = 200
_UNSENT = 1 << 62  # the place of an event that is not in the order of the site yet


@dataclass(frozen=True)
class Conflict:
    """Two changes that were made without knowing of each other, and did not both take effect as they were meant."""

    event: EventKey  # what had no effect, or another effect than was meant
    other: EventKey | None  # the change that it met; None if that is not known
    text: str


@dataclass
class State:
    """What the events say.

    Attributes:
        places: Where each shot counts; None if it was removed and can come back. Dead shots are not in it.
        classes: Label -> its shots, in the order in which they came.
        unknown: Frames of which a person said that they show nothing taught, oldest first.
        removed: Shot -> the event that removed it.
        dead: Shots whose bytes are to be deleted on this device.
        settings: The settings of the site, by name.
        conflicts: In the order of the site.
        touched: Shots whose place may have changed since `touched` was cleared.
    """

    places: dict[ShotKey, Place] = field(default_factory=dict)
    classes: dict[str, dict[ShotKey, None]] = field(default_factory=dict)
    unknown: dict[ShotKey, None] = field(default_factory=dict)
    removed: dict[ShotKey, EventKey] = field(default_factory=dict)
    dead: set[ShotKey] = field(default_factory=set)
    settings: dict[str, int] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)
    touched: set[ShotKey] = field(default_factory=set)
    events: dict[EventKey, Event] = field(default_factory=dict)
    undone_by: dict[EventKey, dict[EventKey, None]] = field(default_factory=dict)
    finals: dict[EventKey, EventKey] = field(default_factory=dict)  # final event that took effect -> what it is about
    _gone: dict[str, tuple[EventKey, str | None]] = field(default_factory=dict)  # label -> what ended it, new label

    def counts(self, key: EventKey) -> bool:
        """Return whether an event is known and not undone."""
        return key in self.events and not self.undone_by.get(key)

    def deleted_everywhere(self) -> set[ShotKey]:
        """Return the dead shots whose final event is in the site's order: an unsent one may come after an undo."""
        return {shot for key in self.finals if self.events[key].seq is not None for shot in self.events[key].doomed}

    def note(self, event: Event) -> None:
        """First pass: which events count, and which shots are dead. It depends on no label."""
        self.events[event.key] = event
        if event.kind == "undo" and event.target in self.events:
            self._set_counting(event, counts=True)
        elif event.kind == "final" and self.counts(event.target):
            self.finals[event.key] = event.target
            self.dead.update(event.doomed)

    def _set_counting(self, undo: Event, *, counts: bool) -> None:
        by = self.undone_by.setdefault(undo.target, {})
        before = not by
        if counts:
            by[undo.key] = None
        else:
            by.pop(undo.key, None)
        target = self.events[undo.target]
        if before == bool(by) and target.kind == "undo" and target.target in self.events:
            self._set_counting(target, counts=not by)

    def apply(self, event: Event) -> None:
        """Second pass: carry out an event, in order."""
        if event.kind == "teach":
            self._teach(event)
        elif event.kind == "final":
            self._final(event)
        elif self.counts(event.key) and event.kind in _APPLY:
            _APPLY[event.kind](self, event)

    def _teach(self, event: Event) -> None:
        undone = next(iter(self.undone_by.get(event.key, ())), None)
        meant: dict[str, str] = {}
        for key, label, negative in event.taught():
            self.touched.add(key)
            if undone is not None:
                self._park(key, undone)
            elif label is None:
                self._add_unknown(key, event)
            else:
                if label not in meant:
                    meant[label] = self._meant(label, event, creates=not negative)
                self._put(key, meant[label], negative, event)

    def _put(self, key: ShotKey, label: str, negative: bool, event: Event) -> None:
        if negative and label not in self.classes:
            self._park(key, event.key)
            return
        self.places[key] = (label, negative)
        self.classes.setdefault(label, {})[key] = None

    def _add_unknown(self, key: ShotKey, event: Event) -> None:
        self.unknown[key] = None
        self.places[key] = None
        if len(self.unknown) > MAX_UNKNOWN_FRAMES:
            oldest = next(iter(self.unknown))
            del self.unknown[oldest]
            self._park(oldest, event.key)

    def _park(self, key: ShotKey, by: EventKey) -> None:
        """Let a shot count for nothing, until the event that did this is undone."""
        self.touched.add(key)
        self.places[key] = None
        self.removed[key] = by

    def _forget(self, event: Event) -> None:
        label = self._meant(event.body["label"], event)
        if label not in self.classes:
            return
        late = {key.event for key in self.classes[label] if self._unknown_to(event, self.events[key.event])}
        for lost in sorted(late):
            self._conflict(lost, event.key, f"{label!r} was forgotten elsewhere, with what was taught here")
        for key in self.classes.pop(label):
            self._park(key, event.key)
        self._gone[label] = event.key, None

    def _rename(self, event: Event) -> None:
        label, to = self._meant(event.body["label"], event), event.body["to"]
        if label in self.classes and to in self.classes:
            other = next(iter(self.classes[to])).event
            self._conflict(event.key, other, f"{label!r} could not be renamed to {to!r}, which was taken")
        elif label in self.classes:
            order = [(to if name == label else name, shots) for name, shots in self.classes.items()]
            self.classes.clear()  # so that the class keeps its place in the order
            self.classes.update(order)
            self._relabel(to, event, label)

    def _merge(self, event: Event) -> None:
        label, into = self._meant(event.body["label"], event), self._meant(event.body["into"], event)
        if label in self.classes and into in self.classes and label != into:
            self.classes[into].update(self.classes.pop(label))
            self._relabel(into, event, label)

    def _relabel(self, label: str, event: Event, before: str) -> None:
        for key in self.classes[label]:
            place = self.places[key]
            self.places[key] = (label, bool(place and place[1]))
            self.touched.add(key)
        self._gone[before] = event.key, label
        self._gone.pop(label, None)

    def _remove(self, event: Event) -> None:
        self._take(event.shot, event)

    def _move(self, event: Event) -> None:
        label = self._meant(event.body["to"], event)
        place = self.places.get(event.shot)
        if label in self.classes and place is not None and place[0] != label and self._take(event.shot, event):
            del self.removed[event.shot]
            self._put(event.shot, label, place[1], event)

    def _take(self, key: ShotKey, event: Event) -> bool:
        """Take a shot out of its class; return whether it was in one."""
        place = self.places.get(key)
        if place is None:
            self._conflict(event.key, self.removed.get(key), "the shot was removed elsewhere")
            return False
        self._park(key, event.key)
        self._leave(place[0], key, event)
        return True

    def _leave(self, label: str, key: ShotKey, event: Event) -> None:
        """Let a class lose a shot. A class without any shot is gone, with its negative examples."""
        del self.classes[label][key]
        if all((place := self.places[rest]) is None or place[1] for rest in self.classes[label]):
            for rest in self.classes.pop(label):
                self._park(rest, event.key)
            self._gone[label] = event.key, None

    def _final(self, event: Event) -> None:
        if event.key not in self.finals:
            return
        for key in event.doomed:
            self.touched.add(key)
            place = self.places.pop(key, None)
            self.removed.pop(key, None)
            self.unknown.pop(key, None)
            if place is not None:
                self._leave(place[0], key, event)

    def _set(self, event: Event) -> None:
        self.settings[event.body["name"]] = event.body["value"]

    def _meant(self, label: str, event: Event, *, creates: bool = False) -> str:
        """Return the label today of the class that the maker of an event saw; rules 3 and 4."""
        seen: set[str] = set()
        now = label
        while now not in self.classes and now in self._gone and now not in seen:
            seen.add(now)
            by, to = self._gone[now]
            if not self._unknown_to(event, self.events[by]):
                break
            if to is None:
                lost, won = (by, event.key) if creates else (event.key, by)
                again = "was taught again" if creates else "could not be changed any more"
                self._conflict(lost, won, f"{now!r} was forgotten at one place and {again} at another")
                return now
            self._conflict(event.key, by, f"{now!r} was called {to!r} elsewhere, so {to!r} was changed")
            now = to
        if now not in self.classes and not creates and now not in self._gone:
            self._conflict(event.key, None, f"there was no {now!r} any more")
        return now

    def _unknown_to(self, event: Event, other: Event) -> bool:
        """Return whether another device made `other`, and the maker of `event` did not know of it."""
        return other.key.origin != event.key.origin and (other.seq or _UNSENT) > event.seen

    def _conflict(self, event: EventKey, other: EventKey | None, text: str) -> None:
        self.conflicts.append(Conflict(event, other, text))


_APPLY = {
    "forget": State._forget,
    "rename": State._rename,
    "merge": State._merge,
    "remove": State._remove,
    "move": State._move,
    "set": State._set,
}


def fold(events: Sequence[Event]) -> State:
    """Return what these events say, given in order."""
    state = State()
    for event in events:
        state.note(event)
    for event in events:
        state.apply(event)
    return state


class Timeline:
    """The events that a device knows, and their state. The usual event only changes the state before it."""

    def __init__(self, confirmed: Iterable[Event] = (), unsent: Iterable[Event] = ()) -> None:
        self.confirmed, self.unsent = list(confirmed), list(unsent)
        self.state = fold([*self.confirmed, *self.unsent])
        self.state.touched = set(self.state.places)

    def append(self, event: Event) -> None:
        """Add an unsent event of this device."""
        self.unsent.append(event)
        self._extend([event])

    def confirm(self, events: Sequence[Event]) -> None:
        """Add the next events of the site's order; own ones among them are unsent no longer."""
        own = [event.key for event in self.unsent]
        fresh = [event for event in events if event.key not in own]
        confirmed = [event.key for event in events if event.key in own]
        self.confirmed += events
        self.unsent = [event for event in self.unsent if event.key not in confirmed]
        for event in events:
            self.state.events[event.key] = event
        # The state is still right unless an event of another device comes before one that was applied already.
        if not own or [event.key for event in events[: len(own)]] == own:
            self._extend(fresh)
        elif fresh:
            self._again()

    def _extend(self, events: Sequence[Event]) -> None:
        if any(event.kind == "undo" for event in events):
            self._again()
            return
        for event in events:
            self.state.note(event)
            self.state.apply(event)

    def _again(self) -> None:
        before = self.state
        self.state = fold([*self.confirmed, *self.unsent])
        self.state.touched = {*before.touched, *before.places, *self.state.places}
