"""What this device has of its site: the events, their state, and the copy of the gallery that follows from it.

A change is durable when `make` returns, in this order: the shots are written to the gallery, where they count for
nothing yet; the event is written to the journal, which is the moment from which the change is made; then the shots are
brought to their places. After a crash, shots without an event are deleted, and the places are corrected.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import numpy as np

from runtime.errors import GalleryCorrupt, GalleryError, OptionError, SiteUnavailable
from runtime.fleet import arranging
from runtime.fleet.database import SiteInfo
from runtime.fleet.events import Event, EventKey, Kind, Place, ShotKey
from runtime.fleet.fold import State, Timeline
from runtime.fleet.journal import Journal
from runtime.gallery import operations
from runtime.gallery.base import ClassShots, NewShot
from runtime.gallery.retention import Ages
from runtime.gallery.sqlite import SqliteGallery

log = logging.getLogger(__name__)

AT_ONCE = 2000  # shots whose places change in one transaction


class Replica:
    """Safe to use from several threads; nothing in it waits for the network.

    Args:
        copy: The gallery file.
        journal: The events beside it.
        device: The name of this device.
        wall: The clock of this device, in unix seconds.
    """

    def __init__(
        self, copy: SqliteGallery, journal: Journal, device: str, wall: Callable[[], float] = time.time
    ) -> None:
        self.copy, self.journal, self._wall = copy, journal, wall
        self.lock = threading.RLock()
        self.origin = journal.meta("origin") or f"{device}/{secrets.token_hex(4)}"
        if self.origin.partition("/")[0] != device:
            raise OptionError(
                f"{journal.path} must be the copy of {device!r}, but it belongs to {self.origin.partition('/')[0]!r}. "
                "Give ?copy=FILE, or the name of that device."
            )
        journal.note("origin", self.origin)
        self.role = journal.meta("role")  # None before the first connection
        self.ages = Ages(wall=wall)
        self.timeline = Timeline(*journal.events())
        self.event_ids = journal.ids()
        self.ids: dict[ShotKey, int] = {}  # the shots in the gallery
        self.keys: dict[int, ShotKey] = {}
        self.without_crop: dict[ShotKey, None] = {}  # crops that are still to come
        self._places: dict[ShotKey, Place] = {}  # where they are in the gallery
        self._missing: dict[ShotKey, None] = {}
        self._settings: dict[str, int] = {}
        # What a frame is matched with, replaced as a whole, so that it is read without waiting for the lock.
        self.classes: Mapping[str, ClassShots] = MappingProxyType({})
        self.unknown_frames = np.zeros((0, copy.dim), np.float32)
        self._published: tuple[Any, list[str], tuple[ShotKey, ...]] = (None, [], ())
        self._next = journal.next_n(self.origin)
        self.reconcile()

    @property
    def state(self) -> State:
        """What the events say."""
        return self.timeline.state

    @property
    def cursor(self) -> int:
        """The newest place in the order of the site that this device knows."""
        confirmed = self.timeline.confirmed
        return (confirmed[-1].seq or 0) if confirmed else 0

    def reconcile(self) -> None:
        """Make the gallery what the events say, whatever happened to it."""
        with self.lock:
            found = self.copy.change(arranging.places)
            mapped = self.journal.shots()
            self._discard([id_ for id_ in found if id_ not in mapped])
            self.journal.unmap([id_ for id_ in mapped if id_ not in found])
            known = {id_: entry for id_, entry in mapped.items() if id_ in found}
            self.keys = {id_: key for id_, (key, _) in known.items()}
            self.ids = {key: id_ for id_, key in self.keys.items()}
            self.without_crop = {key: None for key, crop in known.values() if crop}
            self._places = {key: found[id_] for id_, key in self.keys.items()}
            self._settings = {}
            self.state.touched.update(self.state.places, self.ids)
            self.settle()
            lost = [key for key in self.missing() if key.origin == self.origin and self._is_unsent(key.event)]
            if lost:
                log.error("%d shots that were not sent are not in %s any more.", len(lost), self.copy.path)

    def make(self, kind: Kind, body: Mapping[str, Any], what: str, shots: Sequence[NewShot] = ()) -> Event:
        """Make a change. It is durable, and in the gallery, when this returns.

        Raises:
            InvalidShot, GalleryUnwritable, GalleryCorrupt: Nothing was changed.
        """
        with self.lock:
            key = EventKey(self.origin, self._next)
            event = Event(key, kind, body, self.cursor, what, self._wall())
            ids = self.copy.change(arranging.store, shots) if shots else []
            mapped = {id_: ShotKey(*key, index) for index, id_ in enumerate(ids)}
            try:
                id_ = self.journal.append(event, mapped, event.time_s)
            except GalleryError:
                self._discard(ids)
                raise
            self._next += 1
            self.event_ids[key] = id_, event.time_s
            self.ages.of(id_, None)
            self._remember(mapped)
            self.timeline.append(event)
            try:
                self.settle()
            except GalleryError:
                self._take_back(event)
                raise
            return event

    def _take_back(self, event: Event) -> None:
        """Forget an event whose change the gallery refused. Nobody else has seen it: the caller holds the lock."""
        self.journal.drop(event.key)
        self._next -= 1
        self.timeline = Timeline(*self.journal.events())
        self.state.touched.update(self.ids)
        with suppress(GalleryError):
            self.settle()

    def confirm(self, events: Sequence[Event]) -> None:
        """Take in the next events of the site's order. Raises GalleryCorrupt if one is not what was made here."""
        with self.lock:
            own = {event.key: event for event in self.timeline.unsent}
            for event in events:
                if event.key in own and event.text() != own[event.key].text():
                    raise GalleryCorrupt(
                        f"Change {event.key.n} of {self.origin} must be what the site has, but it is another one: this "
                        f"copy was restored from a backup. Delete {self.copy.path} and the files beside it."
                    )
            now = self._wall()
            self.journal.confirm(events, now)
            fresh = [event for event in events if event.key not in self.event_ids]
            self.event_ids.update(self.journal.ids(fresh))
            for event in fresh:
                self.ages.of(self.event_ids[event.key][0], None)
                if event.key.origin == self.origin:
                    self._next = max(self._next, event.key.n + 1)
            self.timeline.confirm(events)
            self.settle()

    def own(self) -> list[Event]:
        """Return the events that this device made, in order."""
        every = [*self.timeline.confirmed, *self.timeline.unsent]
        return [event for event in every if event.key.origin == self.origin]

    def require_site(self, info: SiteInfo) -> None:
        """Note the site and the role of the login. Raises SiteUnavailable if the copy is of another site."""
        known = self.journal.meta("site")
        if known not in (None, info.id):
            raise SiteUnavailable(
                f"The copy {self.copy.path} must be of the site that it is connected to, but that is another one. "
                "Give another ?copy=FILE."
            )
        if info.events < self.cursor:
            raise SiteUnavailable(
                f"The site must have every change up to {self.cursor}, but it ends at {info.events}: its database was "
                f"restored from a backup. To take it as it is now, delete {self.copy.path} and the files beside it."
            )
        self.journal.note("site", info.id)
        self.journal.note("role", info.role)
        self.role = info.role

    def missing(self) -> list[ShotKey]:
        """Return the shots that the gallery lacks, including those that can come back."""
        with self.lock:
            return sorted(self._missing)

    def bring(self, shots: Mapping[ShotKey, NewShot]) -> None:
        """Store shots that came from the site, whose crops come later."""
        with self.lock:
            wanted = {key: shot for key, shot in shots.items() if key in self.state.places and key not in self.ids}
            ids = self.copy.change(arranging.store, list(wanted.values())) if wanted else []
            mapped = dict(zip(ids, wanted, strict=True))
            self.journal.map(mapped, dict.fromkeys(mapped, True))
            self._remember(mapped)
            self.without_crop.update(dict.fromkeys(wanted))
            self.state.touched.update(wanted)
            self.settle()

    def bring_crops(self, crops: Mapping[ShotKey, bytes | None]) -> None:
        """Store crops that came from the site; None for a shot that has none."""
        with self.lock:
            here = {self.ids[key]: crop for key, crop in crops.items() if key in self.ids}
            self.copy.change(arranging.add_crops, {id_: crop for id_, crop in here.items() if crop is not None})
            self.journal.arrived(here)
            for key in crops:
                self.without_crop.pop(key, None)

    def unsent(self, limit: int) -> list[tuple[Event, dict[int, NewShot]]]:
        """Return the first events that the site does not know yet, in order, with the shots by index."""
        with self.lock:
            return [(event, self._shots_of(event)) for event in self.timeline.unsent[:limit]]

    def _shots_of(self, event: Event) -> dict[int, NewShot]:
        keys = [key for key, _, _ in event.taught() if key in self.ids]
        return {key.i: shot for key, shot in zip(keys, self.shots_of(keys), strict=True) if shot is not None}

    def shots_of(self, keys: Sequence[ShotKey]) -> list[NewShot | None]:
        """Return shots of the gallery; None for one that is damaged."""
        ids = [self.ids[key] for key in keys]
        return self.copy.change(arranging.read, ids) if ids else []

    def settle(self) -> None:
        """Bring the shots of the gallery to the places that the events say, and delete the dead ones."""
        state, moved, dead = self.state, dict[int, Place](), list[int]()
        for key in state.touched:
            id_ = self.ids.get(key)
            if id_ is None and key in state.places:
                self._missing[key] = None
                continue
            self._missing.pop(key, None)
            if id_ is None:
                continue
            if key not in state.places:
                dead.append(id_)
            elif self._places.get(key) != state.places[key]:
                moved[id_] = state.places[key]
        ids = sorted(moved)  # in this order, new shots can be appended to their class
        for first in range(0, len(ids), AT_ONCE):
            some = {id_: moved[id_] for id_ in ids[first : first + AT_ONCE]}
            self.copy.change(arranging.arrange, some, list(state.classes))
            self._places.update({self.keys[id_]: place for id_, place in some.items()})
        self._discard(dead)
        state.touched.clear()
        for name, value in state.settings.items():
            if self._settings.get(name) != value:
                self.copy.change(operations.set_setting, name, value)
        self._settings = dict(state.settings)
        self._publish()

    def _publish(self) -> None:
        """Show what changed, with the classes in the order of the site."""
        shots, order = self.copy.classes, list(self.state.classes)
        unknown = tuple(key for key in self.state.unknown if key in self.ids)
        if list(shots) == order:
            self.classes = shots
        elif self._published[0] is not shots or self._published[1] != order:
            found = {label: one for label, one in zip(order, map(shots.get, order), strict=True) if one}
            if len(found) < len(shots):
                found.update(shots)  # those that the events do not name come last
            self.classes = MappingProxyType(found)
        if self._published[2] != unknown:
            rows = [shot.embedding for shot in self.shots_of(unknown) if shot]
            frames = np.array(rows, np.float32).reshape(-1, self.copy.dim)
            frames.setflags(write=False)
            self.unknown_frames = frames
        self._published = shots, order, unknown

    def _discard(self, ids: Collection[int]) -> None:
        """Delete shots from the gallery for good; their bytes are overwritten."""
        if not ids:
            return
        self.copy.change(arranging.discard, ids)
        self.copy.wipe()
        self.journal.unmap(ids)
        for id_ in ids:
            if (key := self.keys.pop(id_, None)) is not None:
                del self.ids[key]
                self._places.pop(key, None)
                self.without_crop.pop(key, None)

    def _remember(self, mapped: Mapping[int, ShotKey]) -> None:
        for id_, key in mapped.items():
            self.ids[key], self.keys[id_], self._places[key] = id_, key, None

    def _is_unsent(self, key: EventKey) -> bool:
        return any(event.key == key for event in self.timeline.unsent)

    def close(self) -> None:
        """Close both files."""
        with self.lock:
            self.copy.close()
            self.journal.close()
