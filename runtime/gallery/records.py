"""Rows that carry a digest, so that a flipped bit is seen: SQLite's own integrity check misses those.

Every row of every table but the crops' ends in `digest`, over all its other columns; a crop's digest stands in the row
of its shot.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from runtime.errors import GalleryCorrupt

Column = bytes | int | float | None
SHOT_COLUMNS = "id, class, negative, burst, quality, source, time_s, crop_digest, embedding, digest"


def seal(*columns: Column, blob: bytes = b"") -> bytes:
    """The digest of a row. `repr` never fails on what a damaged row may hold, and tells 1, 1.0 and b'1' apart."""
    return sha256(repr(columns).encode() + blob).digest()


def seal_shot(*columns: Column) -> bytes:
    """The digest of a shot's row, given without its digest. Its last column is the embedding, too long for `repr`."""
    *rest, embedding = columns
    return seal(*rest, blob=embedding if isinstance(embedding, bytes) else b"")


def shot_is_sound(row: Sequence[Any], size: int) -> bool:
    """Whether a row of SHOT_COLUMNS is what was written, with an embedding of `size` bytes."""
    if row[-1] is None or type(row[-2]) is not bytes or len(row[-2]) != size:
        return False
    return bool(
        sha256(repr(row[:-2]).encode() + row[-2]).digest() == row[-1]
    )  # `seal_shot`, in one line for 100,000 rows


class ClassRow(NamedTuple):
    id: int
    label: bytes
    made_by: int
    gone_by: int | None  # the operation that forgot or merged it
    merged_into: int | None  # the class its shots count for since then; None: forgotten


class OperationRow(NamedTuple):
    id: int
    time_s: float
    what: bytes
    first_shot: int | None  # shots first_shot..last_shot were added
    last_shot: int | None
    class_id: int | None  # the class that was renamed
    was: bytes | None  # its label before


def write_header(db: sqlite3.Connection, fingerprint: str, dim: int) -> None:
    """State which model filled the gallery."""
    text = fingerprint.encode()
    db.execute("INSERT OR REPLACE INTO header VALUES (1, CAST(? AS TEXT), ?, ?)", (text, dim, seal(1, text, dim)))


def read_header(db: sqlite3.Connection) -> tuple[str, int]:
    """Return (fingerprint, dim). Raises GalleryCorrupt."""
    row = db.execute("SELECT * FROM header").fetchone()
    if row is None or seal(*row[:-1]) != row[-1]:
        raise GalleryCorrupt(
            "A gallery must say which model filled it, but that record is damaged. "
            "Restore a backup or import its last export."
        )
    return row[1].decode(), row[2]


def write_class(db: sqlite3.Connection, row: ClassRow) -> None:
    """Insert a class, or replace what is said about it."""
    db.execute(
        "INSERT INTO classes VALUES (?, CAST(? AS TEXT), ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
        "label = excluded.label, gone_by = excluded.gone_by, merged_into = excluded.merged_into, "
        "digest = excluded.digest",
        (*row, seal(*row)),
    )


def read_classes(db: sqlite3.Connection, where: str = "1", *values: int) -> Iterator[tuple[ClassRow, bool]]:
    """Yield every class with whether its record is sound, in order of first enrolment."""
    for *columns, digest in db.execute(f"SELECT * FROM classes WHERE {where} ORDER BY id", values):
        yield ClassRow(*columns), seal(*columns) == digest


def write_operation(db: sqlite3.Connection, row: OperationRow) -> None:
    """Log an operation, with what undo needs."""
    db.execute("INSERT INTO operations VALUES (?, ?, CAST(? AS TEXT), ?, ?, ?, CAST(? AS TEXT), ?)", (*row, seal(*row)))


def read_operations(db: sqlite3.Connection) -> Iterator[OperationRow]:
    """Yield what can be undone, newest first. It ends at a damaged record: beyond that undo would not be exact."""
    for *columns, digest in db.execute("SELECT * FROM operations ORDER BY id DESC"):
        if seal(*columns) != digest:
            return
        yield OperationRow(*columns)


def write_mark(db: sqlite3.Connection, shot: int, operation: int, *, keep: bool) -> None:
    """Note what a person decided about a shot."""
    row = next_id(db, "marks"), shot, int(keep), operation
    db.execute("INSERT INTO marks VALUES (?, ?, ?, ?, ?)", (*row, seal(*row)))


def read_marks(db: sqlite3.Connection) -> dict[int, bool]:
    """The shots that a person decided about: True keep, False removed. A damaged mark does not count."""
    rows = db.execute("SELECT * FROM marks ORDER BY id")
    return {columns[1]: bool(columns[2]) for *columns, digest in rows if seal(*columns) == digest}


def write_background(db: sqlite3.Connection, embedding: bytes, *, told: bool) -> None:
    """Add a frame that shows nothing taught."""
    row = next_id(db, "background"), int(told)
    db.execute("INSERT INTO background VALUES (?, ?, ?, ?)", (*row, embedding, seal(*row, blob=embedding)))


def read_background(db: sqlite3.Connection, size: int) -> Iterator[tuple[bool, bytes]]:
    """Yield (told, embedding of `size` bytes), oldest first; damaged ones are left out."""
    for id_, told, embedding, digest in db.execute("SELECT * FROM background ORDER BY id"):
        if isinstance(embedding, bytes) and len(embedding) == size and seal(id_, told, blob=embedding) == digest:
            yield bool(told), embedding


def write_setting(db: sqlite3.Connection, name: str, value: int) -> None:
    """Remember how this gallery is to be kept."""
    key = name.encode()
    db.execute("INSERT OR REPLACE INTO settings VALUES (CAST(? AS TEXT), ?, ?)", (key, value, seal(key, value)))


def read_setting(db: sqlite3.Connection, name: str) -> int | None:
    """How this gallery is to be kept; None if that was never said. Raises GalleryCorrupt."""
    row = db.execute("SELECT * FROM settings WHERE name = ?", (name,)).fetchone()
    if row is not None and seal(*row[:-1]) != row[-1]:
        raise GalleryCorrupt(f"The setting {name!r} must be what was set, but its record is damaged. Restore a backup.")
    return None if row is None else row[1]


def next_id(db: sqlite3.Connection, table: str) -> int:
    """The id the next row will get; ids are never used twice. Only within a write transaction."""
    (newest,) = db.execute(f"SELECT max(id) FROM {table}").fetchone()
    (ever,) = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone() or (0,)
    return max(newest or 0, ever) + 1
