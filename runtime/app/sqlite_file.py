"""A small SQLite file with the durability of the gallery: what was committed survives a crash and a power loss."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from runtime.erasing import Eraser

PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "secure_delete = ON",
    "foreign_keys = ON",
    "trusted_schema = OFF",
)


class SqliteFile:
    """An open file; several threads may use it.

    Args:
        path: The file, which is created if absent; None for one in memory.
        kind: (application id, format). A file of another kind is refused and not changed.
        schema: The statements that create its tables.
        error: Raised with a message when SQLite or the system refuses.
        holds: What the file holds, for that message.
    """

    def __init__(
        self, path: Path | None, kind: tuple[int, int], schema: Sequence[str], error: type[Exception], holds: str
    ) -> None:
        self.path, self._error, self._holds = path, error, holds
        self._lock = threading.RLock()
        with self._explained():
            self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False, timeout=10)
            try:
                self._prepare(kind, schema)
            except BaseException:
                self._db.close()
                raise
        self._eraser = Eraser(self._db, path)

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A transaction that writes: it is committed at the end, or nothing is changed."""
        with self._explained(), self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """The connection, for statements that read."""
        with self._explained(), self._lock:
            yield self._db

    def wipe(self) -> None:
        """Remove what is left of deleted data, as far as other programs allow it now."""
        with self._lock, suppress(sqlite3.DatabaseError, OSError):
            self._eraser.erase()

    def close(self) -> None:
        with self._lock:
            self._db.close()
            self._eraser.close()

    def _prepare(self, kind: tuple[int, int], schema: Sequence[str]) -> None:
        (application_id,) = self._db.execute("PRAGMA application_id").fetchone()
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and (application_id, version) != kind:
            raise sqlite3.DatabaseError("it is another database, or that of another version of edgefs")
        for pragma in PRAGMAS:
            self._db.execute(f"PRAGMA {pragma}")
        if not tables:
            with self.change() as db:
                for statement in schema:
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {kind[0]}")
                db.execute(f"PRAGMA user_version = {kind[1]}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._error(
                f"{self._holds} must be stored in {self.path or 'memory'}, but SQLite says: {error}. Make the file and "
                "its folder writable, and free some space."
            ) from error
