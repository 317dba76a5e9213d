"""Rows with a digest, which detects flipped bits that SQLite's own integrity check misses.

Every row of every table except `crops` ends in `digest`, which covers all its other columns. The digest of a crop is in
the row of its shot.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from runtime.errors import GalleryCorrupt

Column = bytes | int | float | None
MODEL = "model"  # the name under which `totals` has a copy of the header
SHOT_COLUMNS = "id, class, negative, burst, quality, source, time_s, crop_digest, embedding, digest"


def seal(*columns: Column, blob: bytes = b"") -> bytes:
    """Return the digest of a row. `repr` accepts whatever a damaged row holds and distinguishes 1, 1.0 and b'1'."""
    return sha256(repr(columns).encode() + blob).digest()


def seal_shot(*columns: Column) -> bytes:
    """Return the digest of the row of a shot. The last column given is the embedding, which is too long for `repr`."""
    *rest, embedding = columns
    return seal(*rest, blob=embedding if isinstance(embedding, bytes) else b"")


def shot_is_sound(row: Sequence[Any], size: int) -> bool:
    """Return whether a row of SHOT_COLUMNS is undamaged and has an embedding of `size` bytes."""
    if row[-1] is None or type(row[-2]) is not bytes or len(row[-2]) != size:
        return False
    # This repeats `seal_shot`, because the calls would cost time for 100,000 rows.
    return bool(sha256(repr(row[:-2]).encode() + row[-2]).digest() == row[-1])


def shot_row(db: sqlite3.Connection, id_: int) -> tuple[Any, ...]:
    """Return the row of one shot, SHOT_COLUMNS, unchecked; (id, None) if there is none or its page is damaged."""
    try:
        row = db.execute(f"SELECT {SHOT_COLUMNS} FROM shots WHERE id = ?", (id_,)).fetchone()  # nosec B608 # fixed words and whole numbers
    except sqlite3.DatabaseError:
        row = None
    return row or (id_, None)


def rows_of_class(db: sqlite3.Connection, roots: Mapping[int, int | None], *wanted: int) -> list[tuple[Any, ...]]:
    """Return the rows of all shots that count for these current classes, in order of id."""
    of_them = set(wanted)
    members = [id_ for id_, root in roots.items() if root in of_them]
    # The ids come from the index, so that a damaged page costs only the shots on it.
    ids = {id_ for member in members for (id_,) in db.execute("SELECT id FROM shots WHERE class = ?", (member,))}
    return [shot_row(db, id_) for id_ in sorted(ids)]


def every_shot(db: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """Yield every row of shots; (id, None) for a row that is in the index but cannot be read from the table.

    A flipped bit in a pointer can make SQLite return one row twice, instead of another.
    """
    seen, torn = set(), False
    try:
        for row in db.execute(f"SELECT {SHOT_COLUMNS} FROM shots ORDER BY id"):  # nosec B608 # fixed words and whole numbers
            yield row
            seen.add(row[0])
    except sqlite3.DatabaseError:
        torn = True  # the index leads to the rows on other pages
    try:
        (count,) = db.execute("SELECT count(*) FROM shots INDEXED BY shots_by_class").fetchone()
        indexed = db.execute("SELECT id FROM shots INDEXED BY shots_by_class") if torn or count != len(seen) else ()
        missing = sorted({id_ for (id_,) in indexed} - seen)
    except sqlite3.DatabaseError:
        if torn:
            raise
        return  # the index is damaged, but every row was read
    for id_ in missing:
        yield shot_row(db, id_)


class ClassRow(NamedTuple):
    id: int
    label: bytes
    made_by: int
    gone_by: int | None  # the operation that forgot or merged it
    merged_into: int | None  # the class that its shots count for since then; None if it was forgotten


class OperationRow(NamedTuple):
    id: int
    time_s: float
    what: bytes
    first_shot: int | None  # shots first_shot..last_shot were added
    last_shot: int | None
    class_id: int | None  # the class that was renamed
    was: bytes | None  # its label before


def write_header(db: sqlite3.Connection, fingerprint: str, dim: int) -> None:
    """Store which model filled the gallery, twice, because no shot can be used without it."""
    text = fingerprint.encode()
    db.execute("INSERT OR REPLACE INTO header VALUES (1, CAST(? AS TEXT), ?, ?)", (text, dim, seal(1, text, dim)))
    write_total(db, MODEL, dim, text)


def read_header(db: sqlite3.Connection) -> tuple[str, int]:
    """Return (fingerprint, dim). Raises GalleryCorrupt."""
    row = db.execute("SELECT * FROM header").fetchone()
    if row is not None and seal(*row[:-1]) == row[-1]:
        return row[1].decode(), row[2]
    copy = read_total(db, MODEL)
    if copy is None:
        raise GalleryCorrupt(
            "A gallery must say which model filled it, but that record is damaged. "
            "Restore a backup or import its last export."
        )
    return copy[1].decode(), copy[0]


def write_total(db: sqlite3.Connection, name: str, rows: int, total: bytes) -> None:
    """Store the number of rows of a table and the sum of their digests, see `runtime/gallery/recovery/totals.py`."""
    key = name.encode()
    digest = seal(key, rows, blob=total)
    db.execute("INSERT OR REPLACE INTO totals VALUES (CAST(? AS TEXT), ?, ?, ?)", (key, rows, total, digest))


def read_total(db: sqlite3.Connection, name: str) -> tuple[int, bytes] | None:
    """Return what `write_total` stored; None if it is absent or damaged."""
    row = db.execute("SELECT * FROM totals WHERE name = ?", (name,)).fetchone()
    return (row[1], row[2]) if row is not None and total_is_sound(row) else None


def total_is_sound(row: Sequence[Any]) -> bool:
    """Return whether a row of the table `totals` is undamaged."""
    return isinstance(row[2], bytes) and seal(*row[:2], blob=row[2]) == row[3]


def write_class(db: sqlite3.Connection, row: ClassRow) -> None:
    """Insert a class, or replace its row."""
    db.execute(
        "INSERT INTO classes VALUES (?, CAST(? AS TEXT), ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
        "label = excluded.label, gone_by = excluded.gone_by, merged_into = excluded.merged_into, "
        "digest = excluded.digest",
        (*row, seal(*row)),
    )


def read_classes(db: sqlite3.Connection, where: str = "1", *values: int) -> Iterator[tuple[ClassRow, bool]]:
    """Yield every class, and whether its record is undamaged, in order of first enrolment."""
    for *columns, digest in db.execute(f"SELECT * FROM classes WHERE {where} ORDER BY id", values):  # nosec B608 # fixed words only
        yield ClassRow(*columns), seal(*columns) == digest


def write_operation(db: sqlite3.Connection, row: OperationRow) -> None:
    """Store an operation with what undo needs."""
    db.execute("INSERT INTO operations VALUES (?, ?, CAST(? AS TEXT), ?, ?, ?, CAST(? AS TEXT), ?)", (*row, seal(*row)))


def read_operations(db: sqlite3.Connection) -> Iterator[OperationRow]:
    """Yield what can be undone, newest first, up to a damaged record: beyond it undo would not be exact."""
    for *columns, digest in db.execute("SELECT * FROM operations ORDER BY id DESC"):
        if seal(*columns) != digest:
            return
        yield OperationRow(*columns)


def write_mark(db: sqlite3.Connection, shot: int, operation: int, *, keep: bool) -> None:
    """Store what a person decided about a shot."""
    row = next_id(db, "marks"), shot, int(keep), operation
    db.execute("INSERT INTO marks VALUES (?, ?, ?, ?, ?)", (*row, seal(*row)))


def read_marks(db: sqlite3.Connection) -> dict[int, bool]:
    """Return the shots that a person decided about: True for kept, False for removed.

    One flipped bit in a mark is corrected, so that it does not bring a removed shot back.
    """
    marks = {}
    for *columns, digest in db.execute("SELECT * FROM marks ORDER BY id"):
        sound = columns if seal(*columns) == digest else _corrected(columns, digest)
        if sound is not None:
            marks[sound[1]] = bool(sound[2])
    return marks


def _corrected(columns: Sequence[Any], digest: Any) -> list[Any] | None:
    """Return the columns without the one bit that was flipped in a number or in the digest; None if it is more."""
    found = seal(*columns)
    if isinstance(digest, bytes) and (int.from_bytes(found, "big") ^ int.from_bytes(digest, "big")).bit_count() == 1:
        return list(columns)
    for place, value in enumerate(columns):
        for bit in range(63) if isinstance(value, int) else ():
            changed = [*columns[:place], value ^ 1 << bit, *columns[place + 1 :]]
            if seal(*changed) == digest:
                return changed
    return None


def write_background(db: sqlite3.Connection, embedding: bytes, *, told: bool) -> None:
    """Add a frame that shows nothing taught."""
    row = next_id(db, "background"), int(told)
    db.execute("INSERT INTO background VALUES (?, ?, ?, ?)", (*row, embedding, seal(*row, blob=embedding)))


def read_background(db: sqlite3.Connection, size: int) -> Iterator[tuple[bool, bytes]]:
    """Yield (told, embedding of `size` bytes), oldest first. Damaged rows are left out."""
    for id_, told, embedding, digest in db.execute("SELECT * FROM background ORDER BY id"):
        if isinstance(embedding, bytes) and len(embedding) == size and seal(id_, told, blob=embedding) == digest:
            yield bool(told), embedding


def write_setting(db: sqlite3.Connection, name: str, value: int) -> None:
    """Store a setting of this gallery."""
    key = name.encode()
    db.execute("INSERT OR REPLACE INTO settings VALUES (CAST(? AS TEXT), ?, ?)", (key, value, seal(key, value)))


def read_setting(db: sqlite3.Connection, name: str) -> int | None:
    """Read a setting of this gallery; None if it was never set or its record is damaged."""
    row = db.execute("SELECT * FROM settings WHERE name = ?", (name,)).fetchone()
    return row[1] if row is not None and seal(*row[:-1]) == row[-1] else None


def write_backup(db: sqlite3.Connection, path: str) -> None:
    """Store where a backup was written."""
    row = next_id(db, "backups"), os.fsencode(path)
    db.execute("INSERT INTO backups VALUES (?, CAST(? AS TEXT), ?)", (*row, seal(*row)))


def read_backups(db: sqlite3.Connection) -> list[str]:
    """Return where backups were written."""
    return [os.fsdecode(path) for id_, path, digest in db.execute("SELECT * FROM backups") if seal(id_, path) == digest]


def next_id(db: sqlite3.Connection, table: str) -> int:
    """Return the id of the next row, within a write transaction. Ids are never used twice."""
    (newest,) = db.execute(f"SELECT max(id) FROM {table}").fetchone()  # nosec B608 # fixed words only
    (ever,) = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone() or (0,)
    return max(newest or 0, ever) + 1
