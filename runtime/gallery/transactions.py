"""Transactions on a gallery file, and the state in memory that follows them.

A change is one transaction, and the state in memory is replaced only after its commit. Before every change, and before
every read that needs the current state, it is checked whether another process has changed the file.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Concatenate, ParamSpec, TypeAlias, TypeVar

from runtime.erasing import Eraser
from runtime.errors import GalleryCorrupt, GalleryError, GalleryMismatch, GalleryUnwritable
from runtime.gallery import operations, redo_stack
from runtime.gallery.base import Damaged, Repair, State
from runtime.gallery.database import connect, explained
from runtime.gallery.memory import Memory, census, load
from runtime.gallery.records import next_id, read_backups, read_header
from runtime.gallery.recovery.asides import delete_from_asides
from runtime.gallery.recovery.backup import delete_from_backups, write_backup
from runtime.gallery.recovery.check import damaged_error, examined, inspected
from runtime.gallery.recovery.condition import Condition
from runtime.gallery.recovery.files import set_aside_files
from runtime.gallery.recovery.repair import repair_file, rescued
from runtime.gallery.recovery.totals import Totals
from runtime.gallery.retention import Ages, Doomed, Purged, doomed, due

P = ParamSpec("P")
T = TypeVar("T")
Work: TypeAlias = Callable[Concatenate[sqlite3.Connection, Memory, P], tuple[T, Memory]]  # an operation


class GalleryFile:
    """An open gallery file. Several threads may use it.

    Attributes:
        path: The file; None if it is in memory.
        db: The connection; use it only within `reading` or `up_to_date`.
        memory: The state as of the last transaction. Reading it needs no lock.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        path: Path | None,
        fingerprint: str | None,
        dim: int | None,
        rescued: tuple[Damaged, ...] = (),
    ) -> None:
        self.path, self._closed = path, False
        self.ages, self._undone_s = Ages(), 0.0
        self._lock = threading.RLock()
        self._made = threading.local()
        self._pinned = fingerprint is not None
        self._start(db, fingerprint, dim, rescued)

    def _start(
        self, db: sqlite3.Connection, fingerprint: str | None, dim: int | None, rescued: tuple[Damaged, ...] = ()
    ) -> None:
        self.db, self._rescued = db, rescued
        self._to_wipe: bool = getattr(db, "in_use_before", False)  # a killed program may have left deleted data
        self.writable: bool = getattr(db, "writable", True)
        kept = self.path if self.writable else None
        self._eraser = Eraser(db, kept)
        refused: State = "ok" if self.writable else "read-only"
        self._condition = Condition(kept, refused, self.wipe)
        self._totals = Totals(db, follow=self.writable)
        redo_stack.create(db)
        with self.reading():
            self._require(fingerprint, dim)
            memory = inspected(db, load(db))
            self.memory = replace(memory, damaged=(*rescued, *memory.damaged))
            self._version = self._data_version()
        self._tidy()

    @property
    def state(self) -> State:
        """See `SqliteGallery.state`."""
        return "damaged" if self.memory.damaged else self._condition.state

    @property
    def last_operation(self) -> int | None:
        """The id of the newest operation of the calling thread; None before the first."""
        return getattr(self._made, "operation", None)

    def change(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one operation in a transaction, replace the state in memory, and return the operation's result."""
        with self._lock:
            deletes = work in operations.DELETING
            result = self._condition.run(lambda: self._run(work, *args, **kwargs), deletes=deletes)
            self._tidy()
        return result

    def _run(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self._writing():
            operation = next_id(self.db, "operations")
            result, memory = work(self.db, self.memory, *args, **kwargs)
            if next_id(self.db, "operations") > operation:
                self._made.operation = operation
            redo_stack.clear_stale(self.db)
            # If Ctrl-C comes between the commit and the last assignment, -1 makes everything be read again.
            version, self._version = self._version, -1
        self.memory, self._version = memory, version
        return result

    def check(self) -> tuple[Damaged, ...]:
        """See `SqliteGallery.check`."""
        with self.up_to_date() as (db, memory):
            if not self._rescued:
                self.memory = examined(db, memory)
            return self.memory.damaged

    def repair(self) -> Repair:
        """See `SqliteGallery.repair`."""
        with self._lock:
            if self.path is None or not self.check():
                return Repair((), None)
            before = self.memory
            self.db.close()
            self._eraser.close()
            try:
                report = repair_file(self.path)
            finally:
                self._reopen(self.path, before)
            return report

    def _reopen(self, path: Path, before: Memory) -> None:
        model = before.fingerprint, before.dim
        try:
            self._start(connect(path, new=None, readonly=False, timeout_s=5.0), *model)
        except GalleryCorrupt:
            rest = rescued(path)
            if rest is None:
                raise
            self._start(rest[0], *model, rest[1])

    def backup(self, target: Path) -> None:
        """See `SqliteGallery.backup`."""
        with self._lock:
            with self.up_to_date():
                if self.memory.damaged:
                    raise damaged_error(self.path, len(self.memory.damaged))
            write_backup(self.db, target, self.path)
            if self.writable:
                self.change(operations.note_backup, str(target.absolute()))

    def purge(self, *, now: bool = False) -> Purged:
        """See `SqliteGallery.purge`."""
        with self._lock:
            minutes = 0 if now else self.memory.undo_minutes
            with self.up_to_date() as (db, _):
                newest = due(db, self.ages, minutes)
                gone = None if newest is None else doomed(db, newest)
            # The reserve is free from the start, because copies are written too, which do not report a full disk.
            unreached = self._condition.run_with_reserve(lambda: self._purge(gone)) if gone else []
            if now or self.ages.now() - self._undone_s >= 60 * minutes:
                redo_stack.clear(self.db)
            if self._to_wipe:
                self.wipe()
            return Purged(
                len(gone.classes) if gone else 0, len(gone.shots) if gone else 0, not self._to_wipe, (*unreached,)
            )

    def _purge(self, gone: Doomed) -> list[str]:
        """Delete from the copies first: if the process is killed in between, the gallery's purge is still due."""
        unreached = []
        if self.path is not None:
            with self.reading() as db:
                backups = [Path(path) for path in read_backups(db)]
                unreached = delete_from_backups(backups, db, gone)
            delete_from_asides(self.path, set(gone.shots))
            for path in set_aside_files(self.path):  # it cannot be known what a damaged file holds
                path.unlink(missing_ok=True)
        for part in gone.parts():
            self._run(operations.purge, part)
            self.wipe()  # so that the write-ahead log stays small on a full disk
        return unreached

    def _tidy(self) -> None:
        """Delete what is due. It is tried again later if it fails, and what was asked for is durable already."""
        if self.writable and not self.memory.damaged:
            with suppress(GalleryError):
                self.purge()
            self._condition.reserve.keep()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction that reads the file as it is."""
        with self._transaction("read it", "BEGIN"):
            yield self.db

    @contextmanager
    def up_to_date(self) -> Iterator[tuple[sqlite3.Connection, Memory]]:
        """A transaction that reads, with the state in memory at the time of it."""
        with self.reading() as db:
            self._catch_up()
            yield db, self.memory

    def refresh(self) -> bool:
        """See `SqliteGallery.refresh`."""
        with self.reading():
            changed = self._catch_up()
        self._tidy()
        return changed

    def wipe(self) -> None:
        """Remove deleted data from the file, its WAL and SQLite's cache.

        That is impossible while another program reads an older state. It is then tried again at every `purge`.
        """
        with self._lock, suppress(sqlite3.DatabaseError, OSError):
            self._to_wipe = True
            self._to_wipe = not self._eraser.erase()

    def undo(self, expected: int | None) -> str:
        """See `SqliteGallery.undo`."""
        with self._lock:
            self._undone_s = self.ages.now()  # the undone rows are kept for redo as long as forgotten classes are
            what = self.change(operations.undo, expected)
            self.wipe()
        return what

    def close(self) -> None:
        """Close the file; `memory` can still be read."""
        with self._lock:
            if not self._closed:
                self._tidy()
            self._closed = True
            self.db.close()
            self._eraser.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction that writes, starts from the current state, and updates the totals."""
        with self._transaction("write to it", "BEGIN IMMEDIATE", "COMMIT"):
            self._catch_up()
            if self.memory.damaged:
                raise damaged_error(self.path, len(self.memory.damaged))
            self._totals.forget_changes()
            yield
            self._totals.write(self.db)

    @contextmanager
    def _transaction(self, doing: str, begin: str, commit: str | None = None) -> Iterator[None]:
        with self._lock, explained(self.path, doing):
            if self._closed:
                raise GalleryUnwritable(f"The gallery {self.path} must be open, but it was closed. Open it again.")
            self.db.execute(begin)
            try:
                yield
                if commit:
                    with explained(self.path, doing, committing=True):
                        self.db.execute(commit)
            finally:
                # Reads are rolled back too: COMMIT would repeat the error of a damaged page that was already handled.
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")

    def _catch_up(self) -> bool:
        """Read what another process changed, within a transaction."""
        version = self._data_version()
        if version == self._version:
            return False
        if self._pinned:
            self._require(self.memory.fingerprint, self.memory.dim)
        self.memory = inspected(self.db, load(self.db, self.memory), structure=bool(self.memory.damaged))
        self._version = version
        return True

    def _data_version(self) -> int:
        (version,) = self.db.execute("PRAGMA data_version").fetchone()  # it changes when another connection commits
        return int(version)

    def _require(self, fingerprint: str | None, dim: int | None) -> None:
        """Raise GalleryMismatch unless the file was filled by this model."""
        found, found_dim = read_header(self.db)
        if (fingerprint or found, dim or found_dim) != (found, found_dim):
            info = census(self.db)
            raise GalleryMismatch(
                f"{self.path} must be filled by the model {(fingerprint or found)[:12]} (dimension {dim}), but its "
                f"{info.classes} classes with {info.shots} shots were filled by {found[:12]} (dimension {found_dim}). "
                "To compute them again from their crops, open it with `Recognizer(bundle, gallery=..., reembed=True)` "
                f"or run: edgefs gallery reembed --gallery {quote(str(self.path))} --bundle BUNDLE"
            )
