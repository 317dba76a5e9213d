"""The number and the sum of the digests of the rows of each table.

A digest detects a changed row, but not a row that was lost, returned twice or brought back by damage to the structure
of the file. For that, every transaction stores for each table how many rows it has and the sum of their digests modulo
2^256. Temporary triggers follow every change, including deletions by a foreign key.

Each transaction also stores a random state id with the id of the state before it. A write-ahead log that belongs to
another gallery, or to another copy of this one, is recognised by them (`runtime/gallery/recovery/wal.py`).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence

from runtime.errors import GalleryCorrupt
from runtime.gallery.base import Damaged
from runtime.gallery.records import read_total, write_total

FORMAT = 3  # of a gallery file
TABLES = ("header", "classes", "shots", "operations", "marks", "background", "settings", "backups")
STATE = "state"
MAGIC = b"edgefs gallery: "  # precedes the two state ids, to find them in a file that cannot be opened
ID_BYTES = 16
_MODULUS = 1 << 256


class Totals:
    """Follows the changes of one connection."""

    def __init__(self, db: sqlite3.Connection, *, follow: bool = True) -> None:
        self._changes: dict[str, list[int]] = {}  # table -> [rows, sum]
        db.create_function("edgefs_row", 3, self._note)
        for table in TABLES if follow else ():
            for event, sides in (("INSERT", "+"), ("DELETE", "-"), ("UPDATE", "-+")):
                notes = "".join(f"SELECT edgefs_row('{table}', {_SIDES[side]});" for side in sides)
                db.execute(f"CREATE TEMP TRIGGER {event}_{table} AFTER {event} ON main.{table} BEGIN {notes} END")

    def forget_changes(self) -> None:
        """Start to follow a transaction."""
        self._changes.clear()

    def write(self, db: sqlite3.Connection) -> None:
        """Store the totals and a new state id as the last part of a transaction. Raises GalleryCorrupt."""
        for table, (rows, total) in self._changes.items():
            stored = read_total(db, table)
            if stored is None:
                raise GalleryCorrupt(
                    f"The total of the table {table!r} must be sound to be changed, but its record is damaged. "
                    "Run: edgefs gallery repair --gallery FILE"
                )
            changed = (int.from_bytes(stored[1], "big") + total) % _MODULUS
            write_total(db, table, stored[0] + rows, changed.to_bytes(32, "big"))
        if self._changes:
            write_state(db)
        self._changes.clear()

    def _note(self, table: str, digest: bytes | None, sign: int) -> None:
        rows = self._changes.setdefault(table if isinstance(table, str) else bytes(table).decode(), [0, 0])
        rows[0] += sign
        rows[1] += sign * _number(digest)


_SIDES = {"+": "NEW.digest, 1", "-": "OLD.digest, -1"}


def fill(db: sqlite3.Connection) -> None:
    """Store the totals of all rows that are there, for a new gallery or one of an older format."""
    for table in TABLES:
        rows, total = count(db, table)
        write_total(db, table, rows, total)
    write_state(db)


def write_state(db: sqlite3.Connection) -> None:
    """Store a new state id and the one before it."""
    stored = read_total(db, STATE)
    before = bytes(ID_BYTES) if stored is None else stored[1][-ID_BYTES:]
    write_total(db, STATE, FORMAT, MAGIC + before + os.urandom(ID_BYTES))


def count(db: sqlite3.Connection, table: str) -> tuple[int, bytes]:
    """Return the number of rows of a table and the sum of their digests."""
    return added_up([digest for (digest,) in db.execute(f"SELECT digest FROM main.{table}")])  # nosec B608 # fixed words only


def added_up(digests: Sequence[object]) -> tuple[int, bytes]:
    """Return the number of digests and their sum, 32 bytes; a damaged one counts as zero."""
    return len(digests), (sum(map(_number, digests)) % _MODULUS).to_bytes(32, "big")


def mismatches(db: sqlite3.Connection) -> Iterator[Damaged]:
    """Yield a record for each table whose rows are not those that were written."""
    for table in TABLES:
        try:
            stored, found = read_total(db, table), count(db, table)
        except sqlite3.DatabaseError as error:
            yield Damaged(0, "", f"the table {table!r} cannot be read completely: {error}")
            continue
        if stored is None:
            yield Damaged(0, "", f"the total of the table {table!r} is damaged")
        elif stored != found:
            yield Damaged(0, "", f"the table {table!r} has {found[0]} rows, but not the {stored[0]} that were written")


def _number(digest: object) -> int:
    return int.from_bytes(digest, "big") % _MODULUS if isinstance(digest, bytes) else 0
