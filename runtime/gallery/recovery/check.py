"""Finds damage: records that are not what was written, rows that are missing, and pages that SQLite cannot use."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from shlex import quote

from runtime.errors import GalleryUnwritable
from runtime.gallery.base import Damaged
from runtime.gallery.memory import Memory
from runtime.gallery.records import seal, total_is_sound
from runtime.gallery.recovery.totals import mismatches

CHECKED_BYTES = 32 << 20  # SQLite's own check of larger files would delay the opening by seconds; `check` makes it
_SMALL_TABLES = {  # their records, other than those of classes and shots, which `load` checks
    "header": "the record of the model",
    "operations": "a record of what undo would take back",
    "marks": "a record of which shot was removed",
    "settings": "a setting",
    "backups": "the record of a backup",
}


def inspected(db: sqlite3.Connection, memory: Memory, *, structure: bool = True) -> Memory:
    """Return the state with all damage that can be found without reading the crops of a large gallery.

    Args:
        db: The open gallery, within a transaction.
        memory: The state as `load` returned it.
        structure: Whether SQLite checks the structure of a small file too.
    """
    if not db.execute("SELECT 1 FROM main.sqlite_master WHERE name = 'totals'").fetchone():
        return memory  # an older format that is open for reading only
    found = [*memory.damaged, *_records(db), *mismatches(db)]
    (pages,), (size,) = (db.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    if structure and pages * size <= CHECKED_BYTES:
        found += _structure(db)
    return replace(memory, damaged=tuple(dict.fromkeys(found)))


def examined(db: sqlite3.Connection, memory: Memory) -> Memory:
    """Return the state with all damage that can be found."""
    found = [*inspected(db, memory).damaged, *_crops(db), *_structure(db)]
    return replace(memory, damaged=tuple(dict.fromkeys(found)))


def damaged_error(path: Path | None, count: int) -> GalleryUnwritable:
    """Return the error for a change of a damaged gallery."""
    return GalleryUnwritable(
        f"{path} must be undamaged to be changed, but {count} damaged places were found in it. What is undamaged can "
        f"be recognised. Run: edgefs gallery repair --gallery {quote(str(path))}. Nothing was changed."
    )


def _records(db: sqlite3.Connection) -> Iterator[Damaged]:
    for table, what in _SMALL_TABLES.items():
        try:
            for *columns, digest in db.execute(f"SELECT * FROM {table}"):  # nosec B608 # fixed words only
                if seal(*columns) != digest:
                    yield Damaged(columns[0] if isinstance(columns[0], int) else 0, "", f"{what} is damaged")
        except sqlite3.DatabaseError as error:
            yield Damaged(0, "", f"the table {table!r} cannot be read completely: {error}")
    for id_, told, embedding, digest in db.execute("SELECT * FROM background"):
        if not isinstance(embedding, bytes) or seal(id_, told, blob=embedding) != digest:
            yield Damaged(id_, "", "a frame that shows nothing taught is damaged")
    if not all(total_is_sound(row) for row in db.execute("SELECT * FROM totals")):
        yield Damaged(0, "", "the record of a total is damaged")


def _structure(db: sqlite3.Connection) -> Iterator[Damaged]:
    try:
        reports = [row[0] for row in db.execute("PRAGMA integrity_check(5)")]
    except sqlite3.DatabaseError as error:
        reports = [str(error).encode()]
    for text in reports:
        if text != b"ok":
            yield Damaged(0, "", f"SQLite reports: {text.decode(errors='replace')}")


def _crops(db: sqlite3.Connection) -> Iterator[Damaged]:
    """Read every crop, one at a time."""
    try:
        wanted = db.execute("SELECT id, crop_digest FROM shots").fetchall()
    except sqlite3.DatabaseError:
        return  # the shots are reported already
    for id_, digest in wanted:
        try:
            row = db.execute("SELECT jpeg FROM crops WHERE shot = ?", (id_,)).fetchone()
        except sqlite3.DatabaseError:
            row = (None,)
        jpeg = row[0] if row else None
        found = sha256(jpeg).digest() if isinstance(jpeg, bytes) else jpeg  # a flipped bit can make it a number
        if found != digest:
            yield Damaged(id_, "", "the crop of this shot is damaged or missing")
