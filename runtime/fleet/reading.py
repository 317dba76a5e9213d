"""The part of the gallery of a site that is read from this device's copy, and never waits for the network."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InvalidShot
from runtime.fleet.address import Address
from runtime.fleet.deleting import Deleter
from runtime.fleet.events import Event, EventKey
from runtime.fleet.fold import Conflict
from runtime.fleet.history import may_take_back, redoable, reversible, undoable
from runtime.fleet.replica import Replica
from runtime.fleet.sync import Sync
from runtime.gallery.base import ClassShots, Damaged, Operation, ShotRecord, State
from runtime.gallery.labels import normalised, unknown_label


@dataclass(frozen=True)
class FleetStatus:
    """How this device stands with its site.

    Attributes:
        site: The address, without a password.
        origin: The name under which this device writes.
        role: What its login may do; None before the first connection.
        connected: Whether the database answered last.
        problem: Why not, or what is wrong; None if nothing is.
        seen: The newest place in the order of the site that this device knows.
        unsent: How many own changes the site does not know yet.
        crops_to_come: How many pictures are still to be fetched.
        conflicts: How many are listed by `conflicts`.
    """

    site: str
    origin: str
    role: str | None
    connected: bool
    problem: str | None
    seen: int
    unsent: int
    crops_to_come: int
    conflicts: int


class FleetReads:
    """What a `FleetGallery` answers without changing anything; see `SqliteGallery` for the methods."""

    def __init__(self, replica: Replica, address: Address, sync: Sync | None) -> None:
        self._replica, self._copy, self._address, self.sync = replica, replica.copy, address, sync
        self._deleter = Deleter(replica)
        self._made = threading.local()

    @property
    def path(self) -> Path | None:
        """Path of the copy."""
        return self._copy.path

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the bundle that computed the embeddings."""
        return self._copy.fingerprint

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self._copy.dim

    @property
    def classes(self) -> Mapping[str, ClassShots]:
        """An immutable snapshot of all classes, in the order of the site."""
        return self._replica.classes

    @property
    def damaged(self) -> tuple[Damaged, ...]:
        """Damaged records of the copy."""
        return self._copy.damaged

    @property
    def state(self) -> State:
        """Whether this device can change the gallery, and why not."""
        return "read-only" if self._replica.role == "viewer" else self._copy.state

    @property
    def keep_crops(self) -> bool:
        """Whether crops are stored with shots; a setting of the site."""
        return self._copy.keep_crops

    @property
    def stranger_rate(self) -> float | None:
        """The share of strangers that recognizers accept; a setting of the site."""
        return self._copy.stranger_rate

    @property
    def precision(self) -> str | None:
        """The precision of the model that computed the embeddings; a setting of the site."""
        return self._copy.precision

    @property
    def undo_minutes(self) -> int:
        """For how many minutes forgetting can be undone; a setting of the site."""
        return self._copy.undo_minutes

    @property
    def unknown_frames(self) -> NDArray[np.float32]:
        """Frames of which a person said that they show nothing taught, float32 [S, dim], read-only."""
        return self._replica.unknown_frames

    def crop(self, shot_id: int, *, forgotten: bool = False) -> bytes | None:
        """Return the JPEG of a shot; None if it has none, or if it is still to be fetched."""
        return self._copy.crop(shot_id, forgotten=forgotten)

    def shot(self, shot_id: int) -> ShotRecord:
        """Return one shot. Raises InvalidShot."""
        return self._copy.shot(shot_id)

    def records(self, label: str) -> list[ShotRecord]:
        """Return the shots and negative examples of a class. Raises UnknownLabel."""
        return self._copy.records(label)

    def stored_ids(self) -> list[int]:
        """Return the ids of all shots of the copy, including those that can come back."""
        return self._copy.stored_ids()

    def stored_embeddings(self) -> dict[int, NDArray[np.float32]]:
        """Return the embedding of each of `stored_ids`."""
        return self._copy.stored_embeddings()

    def check(self) -> tuple[Damaged, ...]:
        """Read the whole copy and return what is damaged."""
        return self._copy.check()

    @property
    def last_operation(self) -> int | None:
        """The id of the newest change that the calling thread made; None before the first."""
        return getattr(self._made, "operation", None)

    def history(self) -> list[Operation]:
        """Return the changes of this device that `undo` would take back, newest first."""
        with self._replica.lock:
            return [self._operation(event) for event in self._undoable()]

    def undone(self) -> list[Operation]:
        """Return the changes of this device that `redo` would make again, the next one first."""
        with self._replica.lock:
            return [self._operation(self._replica.state.events[undo.target]) for undo in self._redoable()]

    def conflicts(self) -> list[Conflict]:
        """Return the changes that met others which their makers did not know, in the order of the site."""
        with self._replica.lock:
            return list(self._replica.state.conflicts)

    def sides(self, conflict: Conflict) -> list[Event]:
        """Return the changes that met in a conflict, as far as they are known, first the one that lost."""
        with self._replica.lock:
            events = self._replica.state.events
            return [events[key] for key in (conflict.event, conflict.other) if key is not None and key in events]

    def can_take_back(self, event: EventKey) -> bool:
        """Return whether `take_back` lets this change not count."""
        replica = self._replica
        with replica.lock:
            return may_take_back(replica.role, replica.origin, event) and reversible(replica.state, event)

    def _undoable(self) -> list[Event]:
        return undoable(self._replica.state, self._replica.own())

    def _redoable(self) -> list[Event]:
        return redoable(self._replica.state, self._replica.own())

    def _operation(self, event: Event) -> Operation:
        return Operation(self._replica.event_ids[event.key][0], event.time_s, event.what)

    @property
    def connected(self) -> bool:
        """Whether the database answered last."""
        return self.sync is not None and self.sync.state.connected

    def status(self) -> FleetStatus:
        """Return how this device stands with its site."""
        replica, sync = self._replica, self.sync.state if self.sync else None
        with replica.lock:
            return FleetStatus(
                self._address.shown,
                replica.origin,
                replica.role,
                self.connected,
                sync.problem if sync else None,
                replica.cursor,
                len(replica.timeline.unsent),
                len(replica.without_crop),
                len(replica.state.conflicts),
            )

    @property
    def _labels(self) -> Mapping[str, object]:
        return self._replica.state.classes

    def _known(self, label: str) -> str:
        """Return the label as it is stored. Raises UnknownLabel."""
        label = normalised(label)
        if label not in self._labels:
            raise unknown_label(label, self._labels)
        return label

    def _count(self, label: str) -> int:
        state = self._replica.state
        return sum(not (place := state.places[key]) or not place[1] for key in state.classes[label])

    def _spare(self, shot_id: int) -> str:
        """Return the class of a shot. Raises InvalidShot for an unknown one, or the last one of its class."""
        label = self.shot(shot_id).label
        if not self.shot(shot_id).negative and self._count(label) == 1:
            raise InvalidShot(
                f"A class must keep one shot at least, but {shot_id} is the last of {label!r}. Forget the class."
            )
        return label
