"""The thread that exchanges events with the site's database. Nothing else waits for it.

A round sends the unsent events, reads the next ones, and fetches the shots and crops that the gallery lacks. Rounds are
started by an own change, by a hint of another device, and every few seconds anyway, because hints may be lost.
"""

from __future__ import annotations

import logging
import os
import random
import select
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import islice

from runtime.errors import EdgefsError, GalleryMismatch
from runtime.fleet.database import SiteDatabase
from runtime.fleet.deleting import Deleter
from runtime.fleet.replica import Replica

log = logging.getLogger(__name__)

POLL_S = 3.0  # between rounds without a hint
PAUSE_S = 0.2  # at least, between the starts of two rounds, so that hints of many devices are answered together
RETRY_S = (0.2, 5.0)  # the first and the longest wait before a new connection
UNSENT_AT_ONCE = 50  # own events, with their shots and crops in memory
EVENTS_AT_ONCE = 1000
SHOTS_AT_ONCE = 2000
CROPS_AT_ONCE = 100


@dataclass
class SyncState:
    """How the exchange goes.

    Attributes:
        connected: Whether the database answered last.
        problem: Why not, or what is wrong with this device; None if nothing is.
        mismatch: Whether the problem is that the site has another model.
        rounds: How many were completed.
    """

    connected: bool = False
    problem: str | None = None
    mismatch: bool = False
    rounds: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition, repr=False)


class Sync:
    """Exchanges events until it is stopped.

    Args:
        conninfo: The database.
        replica: What this device has.
        fingerprint: Of the model of this device.
        dim: Length of its embeddings.
    """

    def __init__(self, conninfo: str, replica: Replica, fingerprint: str, dim: int) -> None:
        self._conninfo, self._replica, self._model = conninfo, replica, (fingerprint, dim)
        self._deleter = Deleter(replica)
        self.state = SyncState()
        self._stopping = threading.Event()
        self._readable, self._writable = os.pipe()
        os.set_blocking(self._writable, False)
        self._database: SiteDatabase | None = None
        self._asked = self._answered = 0  # so that `wait` is answered by a round that began after it
        self._thread = threading.Thread(target=self._run, name="edgefs fleet", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Start a round now."""
        with suppress(OSError):  # the pipe is full, so it is going to wake up, or it was closed by `stop`
            os.write(self._writable, b"!")

    def wait(self, timeout_s: float) -> bool:
        """Wait for a round that starts now; return whether it was completed with nothing left to send or to fetch."""
        with self.state.changed:
            self._asked += 1
            asked = self._asked
            self.wake()
            return self.state.changed.wait_for(lambda: self._answered >= asked, timeout_s)

    def wait_for_first(self, timeout_s: float) -> None:
        """Wait until the first round is completed, or has failed."""
        with self.state.changed:
            self.state.changed.wait_for(lambda: self.state.rounds or self.state.problem, timeout_s)

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread; a call that waits for the network is interrupted."""
        self._stopping.set()
        self.wake()
        self._thread.join(timeout_s / 2)
        if self._thread.is_alive() and (database := self._database) is not None:
            database.interrupt()
            self._thread.join(timeout_s / 2)
        if not self._thread.is_alive():
            os.close(self._readable)
            os.close(self._writable)
            self._readable = self._writable = -1

    def _run(self) -> None:
        delay_s = RETRY_S[0]
        while not self._stopping.is_set():
            rounds = self.state.rounds
            try:
                with closing(SiteDatabase(self._conninfo)) as self._database:
                    self._talk(self._database)
            except Exception as error:  # whatever it is, this device must try again
                if not isinstance(error, (EdgefsError, OSError)):
                    log.exception("The exchange with the site failed in a way that is not known.")
                elif str(error) != self.state.problem:
                    log.warning("%s", error)
                self._note(connected=False, problem=str(error), mismatch=isinstance(error, GalleryMismatch))
            delay_s = RETRY_S[0] if self.state.rounds > rounds else min(2 * delay_s, RETRY_S[1])
            self._deleter.tidy()
            self._stopping.wait(delay_s * random.uniform(0.5, 1.0))  # nosec B311 # devices retry at different times

    def _talk(self, database: SiteDatabase) -> None:
        info = database.join(*self._model)
        self._replica.require_site(info)
        database.listen()
        if info.role == "teacher":
            with self._replica.lock:
                gone = list(self._replica.state.deleted_everywhere())
            database.delete_shots(gone)
        while not self._stopping.is_set():
            started, asked = time.monotonic(), self._asked
            if not self._round(database):
                self._answered = asked
                self._note(connected=True, problem=None)
                self._wait(database, started)

    def _round(self, database: SiteDatabase) -> bool:
        """Exchange what there is; return whether more of it is to come."""
        replica, (fingerprint, _) = self._replica, self._model
        self._deleter.tidy()
        unsent = replica.unsent(UNSENT_AT_ONCE)
        for event, shots in unsent:
            database.send(event, fingerprint, shots)
        if unsent:
            database.hint()
        events = database.events_after(replica.cursor, EVENTS_AT_ONCE)
        replica.confirm(events)
        gone = [shot for event in events if event.key in replica.state.finals for shot in event.doomed]
        if gone and replica.role == "teacher":
            database.delete_shots(gone)
        if len(events) == EVENTS_AT_ONCE or len(unsent) == UNSENT_AT_ONCE:
            return True
        missing = replica.missing()
        for first in range(0, len(missing), SHOTS_AT_ONCE):
            replica.bring(database.shots(missing[first : first + SHOTS_AT_ONCE], fingerprint))
        if crops := list(islice(replica.without_crop, CROPS_AT_ONCE)):
            self._note(connected=True, problem=None, complete=False)
            found = database.crops(crops)
            replica.bring_crops({key: found.get(key) for key in crops})
        return len(crops) == CROPS_AT_ONCE

    def _wait(self, database: SiteDatabase, started: float) -> None:
        """Wait for an own change, for a hint, or for the next round."""
        self._stopping.wait(max(0.0, started + PAUSE_S - time.monotonic()))
        patience_s = 0.0 if database.hinted else POLL_S
        ready, _, _ = select.select([database.fileno(), self._readable], [], [], patience_s)
        if self._readable in ready:
            os.read(self._readable, 4096)
        database.take_hints()

    def _note(self, *, connected: bool, problem: str | None, complete: bool = True, mismatch: bool = False) -> None:
        with self.state.changed:
            self.state.connected, self.state.problem, self.state.mismatch = connected, problem, mismatch
            self.state.rounds += int(connected and complete)
            self.state.changed.notify_all()
