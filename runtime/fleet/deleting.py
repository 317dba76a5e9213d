"""When shots that were removed are deleted for good: the events that say so, and who makes them."""

from __future__ import annotations

from contextlib import suppress
from zlib import crc32

from runtime.errors import GalleryError
from runtime.fleet.events import Event, EventKey
from runtime.fleet.history import allowed, due
from runtime.fleet.replica import Replica

TIDY_S = 5.0  # between two looks for what is to be deleted
GRACE_S = 600  # for the maker of a change to delete what it removed, before other devices do


class Deleter:
    """Makes the final events of a device. Its clock is the monotonic one, see `runtime/gallery/retention.py`."""

    def __init__(self, replica: Replica) -> None:
        self._replica, self._tidied_s = replica, -TIDY_S

    def purge(self, *, now: bool = False) -> list[Event]:
        """Make what was removed long enough ago final; return the events that say so."""
        replica, made = self._replica, []
        with replica.lock:
            for by, keys in due(replica.state, lambda key: now or self._is_old(key)).items():
                body = {"event": [*by], "shots": [[*key] for key in keys]}
                made.append(replica.make("final", body, f"deleted {len(keys)} shots for good"))
        return made

    def tidy(self) -> None:
        """Purge from time to time, if this login may."""
        now_s = self._replica.ages.now()
        if now_s - self._tidied_s >= TIDY_S and allowed(self._replica.role, "final"):
            self._tidied_s = now_s
            with suppress(GalleryError):
                self.purge()

    def _is_old(self, key: EventKey) -> bool:
        """Return whether an event cannot be undone any more. Its maker says so first, the others some minutes later."""
        replica = self._replica
        others_s = 0 if key.origin == replica.origin else GRACE_S + crc32(replica.origin.encode()) % GRACE_S
        id_, stored_s = replica.event_ids[key]
        return replica.ages.of(id_, stored_s) >= 60 * replica.copy.undo_minutes + others_s
