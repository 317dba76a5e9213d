"""The gallery of a site on one device: read from its copy, changed by events."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from runtime.errors import (
    GalleryMismatch,
    GalleryUnwritable,
    InvalidLabel,
    InvalidShot,
    NothingToUndo,
    OptionError,
    StaleOperation,
)
from runtime.fleet.address import Address
from runtime.fleet.events import Event, EventKey, Kind
from runtime.fleet.history import allowed, may_take_back, reversible
from runtime.fleet.reading import FleetReads
from runtime.fleet.replica import Replica
from runtime.fleet.sync import Sync
from runtime.gallery.base import NewShot, Repair
from runtime.gallery.labels import clean_label, normalised, unknown_label
from runtime.gallery.maintenance import MAX_UNDO_MINUTES
from runtime.gallery.memory import BITS, KEEP_CROPS, PRECISION, STRANGER_RATE, UNDO_MINUTES
from runtime.gallery.operations import counted
from runtime.gallery.retention import Purged


class FleetGallery(FleetReads):
    """The gallery that `open_gallery` returns for an address; see `SqliteGallery` for what the methods do.

    Args:
        address: The site.
        replica: What this device has of it.
        connect: Whether to exchange events; False works on the copy alone.
    """

    def __init__(self, address: Address, replica: Replica, *, connect: bool = True) -> None:
        model = replica.copy.fingerprint, replica.copy.dim
        super().__init__(replica, address, Sync(address.conninfo, replica, *model) if connect else None)
        self._refreshed, self._closed = replica.classes, False

    @property
    def shared(self) -> FleetGallery:
        """This gallery, because the devices of a site share it."""
        return self

    def set_keep_crops(self, keep: bool) -> None:
        """Set whether crops are stored with new shots, for the whole site."""
        if keep != self.keep_crops:
            self._set(KEEP_CROPS, int(keep))

    def set_stranger_rate(self, rate: float) -> None:
        """Set that share for the whole site. Raises OptionError."""
        if not 0 <= rate <= 1:
            raise OptionError(f"the stranger rate must be in 0..1, but got {rate}")
        self._set(STRANGER_RATE, round(rate * 1e6))

    def set_precision(self, precision: str) -> None:
        """Set that precision for the whole site, if this login may."""
        if precision != self.precision and allowed(self._replica.role, "set"):
            self._set(PRECISION, BITS.get(precision, 0))

    def set_undo_minutes(self, minutes: int) -> None:
        """Set that number for the whole site. Raises OptionError."""
        if not 0 <= minutes <= MAX_UNDO_MINUTES:
            raise OptionError(f"the minutes of undo must be in 0..{MAX_UNDO_MINUTES}, but got {minutes}")
        self._set(UNDO_MINUTES, int(minutes))

    def add(self, label: str, shots: Sequence[NewShot], *, negative: bool = False) -> list[int]:
        """Add shots to a class, which is created if it is new. They are durable when this returns."""
        label, count = normalised(label), counted(len(shots))
        what = f"marked {count} as not {label!r}" if negative else f"enrolled {count} of {label!r}"
        return self.add_all([(label, shot, negative) for shot in shots], what)

    def add_all(self, batch: Iterable[tuple[str, NewShot, bool]], what: str) -> list[int]:
        """Add (label, shot, negative) of many classes as one change."""
        entries = [(normalised(label), shot, negative) for label, shot, negative in batch]
        if not entries:
            raise InvalidShot(
                "At least one shot must be given, but there is none. Show the object to the camera again."
            )
        with self._replica.lock:
            new: set[str] = set()
            for label, _, negative in entries:
                if label not in self._labels and label not in new:
                    if negative:
                        raise unknown_label(label, self._labels)
                    new.add(clean_label(label))
            event = self._teach(
                [(label, negative) for label, _, negative in entries], [shot for _, shot, _ in entries], what
            )
            return [self._replica.ids[key] for key, _, _ in event.taught()]

    def add_unknown_frames(self, embeddings: NDArray[np.float32]) -> None:
        """Add frames, float32 [N, dim], that show nothing taught; the newest 200 of the site count."""
        if len(embeddings):
            shots = [NewShot(row, None, "", 0.0, "unknown", time.time()) for row in embeddings]
            self._teach([(None, False)] * len(shots), shots, f"{len(shots)} frames show nothing taught")

    def _teach(self, places: Sequence[tuple[str | None, bool]], shots: Sequence[NewShot], what: str) -> Event:
        if not self.keep_crops:
            shots = [NewShot(s.embedding, None, s.burst, s.quality, s.source, s.time_s) for s in shots]
        runs: list[list[Any]] = []
        for label, negative in places:
            if runs and runs[-1][:2] == [label, negative]:
                runs[-1][2] += 1
            else:
                runs.append([label, negative, 1])
        return self._change("teach", {"shots": runs}, what, shots)

    def forget(self, label: str, *, now: bool = False) -> int:
        """Forget a class everywhere, with `now` for good at once; return its number of shots. Raises UnknownLabel."""
        with self._replica.lock:
            label, count = self._known(label), self._count(label)
            self._change("forget", {"label": label}, f"forgot {label!r} ({counted(count)})")
            if now:
                self.purge(now=True)
            return count

    def rename(self, label: str, to: str) -> None:
        """Give a class another label. Raises UnknownLabel, or InvalidLabel if the new one is taken or not allowed."""
        with self._replica.lock:
            label, to = self._known(label), clean_label(to)
            if to in self._labels:
                raise InvalidLabel(
                    f"The new label must be free, but {to!r} is a class already. To join the two, merge them."
                )
            self._change("rename", {"label": label, "to": to}, f"renamed {label!r} to {to!r}")

    def merge(self, label: str, into: str) -> int:
        """Let the shots of one class count for another; return how many. Raises UnknownLabel."""
        with self._replica.lock:
            label, into = self._known(label), self._known(into)
            if label == into:
                raise InvalidLabel(f"Two different classes must be merged, but both are {into!r}. Name another.")
            count = self._count(label)
            what = f"merged {label!r} ({counted(count)}) into {into!r}"
            self._change("merge", {"label": label, "into": into}, what)
            return count

    def remove_shot(self, shot_id: int) -> str:
        """Remove a shot; return its class. Raises InvalidShot."""
        with self._replica.lock:
            label = self._spare(shot_id)
            what = f"removed shot {shot_id} of {label!r}"
            self._change("remove", {"shot": [*self._replica.keys[int(shot_id)]]}, what)
            return label

    def move_shot(self, shot_id: int, to: str) -> int:
        """Let a shot count for another class; return its id. Raises UnknownLabel, InvalidShot."""
        with self._replica.lock:
            label, to = self.shot(shot_id).label, self._known(to)
            if label == to:
                raise InvalidShot(f"A shot must be moved to another class, but {shot_id} is of {to!r} already.")
            if not self.shot(shot_id).negative:
                self._spare(shot_id)
            what = f"moved shot {shot_id} of {label!r} to {to!r}"
            self._change("move", {"shot": [*self._replica.keys[int(shot_id)]], "to": to}, what)
            return int(shot_id)

    def undo(self, expected: int | None = None) -> str:
        """Take back the newest change of this device that counts; return what it was, in words."""
        return self._undo(self._undoable(), expected, "undone", "undo")

    def redo(self, expected: int | None = None) -> str:
        """Make the change again that `undo` took back last; return what it was, in words."""
        with self._replica.lock:
            events = self._replica.state.events
            undos = self._redoable()
            return self._undo(undos, expected, "redone", "redo", meant=[events[undo.target] for undo in undos])

    def take_back(self, event: EventKey) -> str:
        """Let a change of any device not count, such as one side of a conflict; return what it was, in words.

        What was deleted for good does not come back. Raises NothingToUndo, GalleryUnwritable.
        """
        with self._replica.lock:
            state = self._replica.state
            if not reversible(state, event):
                raise NothingToUndo(
                    f"Change {event.n} of {event.origin} must be one that counts, but it is unknown, undone or final. "
                    "List them: edgefs fleet conflicts URL"
                )
            if not may_take_back(self._replica.role, self._replica.origin, event):
                raise self._not_a_teacher(f"undone: {state.events[event].what}")
            return self._undo([state.events[event]], None, "undone", "undo")

    def _undo(
        self, events: Sequence[Event], expected: int | None, done: str, verb: str, meant: Sequence[Event] | None = None
    ) -> str:
        with self._replica.lock:
            if not events:
                raise NothingToUndo(f"There must be a change of this device to {verb}, but none is left.")
            named = (meant or events)[0]
            id_ = self._replica.event_ids[named.key][0]
            if expected not in (None, id_):
                raise StaleOperation(
                    f"Change {expected} must be the next one to be {done}, but that is {id_}: {named.what}. "
                    "Nothing was changed."
                )
            self._change("undo", {"event": [*events[0].key]}, f"{done}: {named.what}", made=False)
            return named.what

    def purge(self, *, now: bool = False) -> Purged:
        """Delete for good, everywhere, what was removed more than `undo_minutes` ago."""
        with self._replica.lock:
            if not allowed(self._replica.role, "final"):
                return Purged(0, 0, True)
            final = self._deleter.purge(now=now)
        self._wake()
        state = self._replica.state
        classes = sum(state.events[event.target].kind == "forget" for event in final)
        return Purged(classes, sum(len(event.doomed) for event in final), True)

    def repair(self) -> Repair:
        """Rebuild a damaged copy; what it lost is fetched again from the site."""
        report = self._copy.repair()
        self._replica.reconcile()
        self._wake()
        return report

    def backup(self, path: str | Path) -> None:
        """Write a copy of the gallery as a single file, without the site's events."""
        self._copy.backup(path)

    def replace_embeddings(self, *_: object, **__: object) -> NoReturn:
        """Refuse: a site changes its model as a whole. Raises GalleryMismatch."""
        raise GalleryMismatch(
            "One device must not change the model of its whole site, but embeddings of another model were given. "
            "Make a new database for the new model and move the gallery there (docs/fleet.md)."
        )

    def refresh(self) -> bool:
        """Exchange events soon; return whether the classes changed since the last call."""
        self._wake()
        before, self._refreshed = self._refreshed, self.classes
        return before is not self._refreshed

    def close(self) -> None:
        """Send what is unsent, if the database answers within two seconds, and close the copy."""
        if self._closed:
            return
        self._closed = True
        if self.sync:
            if self.sync.state.connected and self._replica.timeline.unsent:
                self.sync.wait(2.0)
            self.sync.stop()
        self._replica.close()

    def __enter__(self) -> FleetGallery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _change(
        self, kind: Kind, body: Mapping[str, Any], what: str, shots: Sequence[NewShot] = (), *, made: bool = True
    ) -> Event:
        if self._closed:
            raise GalleryUnwritable(f"The gallery {self.path} must be open, but it was closed. Open it again.")
        if self.sync and self.sync.state.mismatch:
            raise GalleryMismatch(str(self.sync.state.problem))
        if not allowed(self._replica.role, kind):
            raise self._not_a_teacher(what)
        event = self._replica.make(kind, body, what, shots)
        if made:
            self._made.operation = self._replica.event_ids[event.key][0]
        self._wake()
        return event

    def _not_a_teacher(self, what: str) -> GalleryUnwritable:
        return GalleryUnwritable(
            f"The login of this device must be a teacher to make this change ({what}), but it is a "
            f"{self._replica.role or 'device that was never connected'}. Run: edgefs fleet init URL --teacher NAME"
        )

    def _set(self, name: str, value: int) -> None:
        self._change("set", {"name": name, "value": value}, f"set {name} to {value}", made=False)

    def _wake(self) -> None:
        if self.sync:
            self.sync.wake()
