"""What this device may do, and which of its changes it can undo and redo. Pure functions on the state."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runtime.fleet.events import Event, EventKey, Kind, ShotKey
from runtime.fleet.fold import State
from runtime.gallery.retention import KEPT_OPERATIONS

_UNDOABLE = ("rename", "merge", "forget", "remove", "move")


def allowed(role: str | None, kind: Kind) -> bool:
    """Return whether a login may make such an event; before the first connection it is taken for a device."""
    return role == "teacher" or (role in (None, "device") and kind in ("teach", "undo"))


def may_take_back(role: str | None, origin: str, event: EventKey) -> bool:
    """Return whether a login may let an event not count: a teacher any event, a device those of its own origin."""
    return role == "teacher" or (allowed(role, "undo") and event.origin == origin)


def reversible(state: State, key: EventKey) -> bool:
    """Return whether an event can be made not to count: it counts, and is neither a final deletion nor a setting."""
    return state.counts(key) and state.events[key].kind not in ("final", "set")


def undoable(state: State, own: Sequence[Event]) -> list[Event]:
    """Return the own changes that can be undone, newest first: none before what was deleted for good."""
    if not own:
        return []
    final = max((key.n for key in state.finals.values() if key.origin == own[0].key.origin), default=0)
    changes = [event for event in own if event.key.n > final and _is_change(event) and state.counts(event.key)]
    return changes[::-1][:KEPT_OPERATIONS]


def redoable(state: State, own: Sequence[Event]) -> list[Event]:
    """Return the own undos that can be undone, the newest first; none before a newer change."""
    undos = []
    for event in reversed(own):
        if event.kind == "undo" and state.counts(event.key):
            target = state.events.get(event.target)
            if target is not None and _is_change(target) and event.key not in state.finals.values():
                undos.append(event)
        elif _is_change(event) and state.counts(event.key):
            break
    return undos


def due(state: State, is_old: Callable[[EventKey], bool]) -> dict[EventKey, list[ShotKey]]:
    """Return the shots that were removed long enough ago to be deleted for good, by the event that removed them."""
    found: dict[EventKey, list[ShotKey]] = {}
    old: dict[EventKey, bool] = {}
    for key, by in state.removed.items():
        if by not in old:
            old[by] = is_old(by)
        if old[by]:
            found.setdefault(by, []).append(key)
    return found


def _is_change(event: Event) -> bool:
    """Return whether `undo` takes back such an event: not a setting, nor frames that show nothing taught."""
    return event.kind in _UNDOABLE or (event.kind == "teach" and event.body["shots"][0][0] is not None)
