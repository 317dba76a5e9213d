"""Writes the verified rows of a damaged gallery into a new file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from runtime.errors import GalleryCorrupt
from runtime.gallery.base import Damaged
from runtime.gallery.database import create_tables
from runtime.gallery.records import seal, seal_shot, write_header
from runtime.gallery.recovery import totals
from runtime.gallery.recovery.pages import Pages
from runtime.gallery.recovery.salvage import Salvage

_TEXT = {"classes": (1,), "shots": (3, 5), "operations": (2, 6), "settings": (0,), "backups": (1,)}
_ORDER = ("classes", "shots", "operations", "marks", "background", "settings", "backups")
_SPARE_IDS = 1_000_000  # an id that is higher than all others by more than this is taken for damaged
KEEP_CROPS = b"keep_crops"


def mend(found: Salvage) -> list[str]:
    """Make the rows consistent with each other; return what was changed, in sentences.

    A class whose record is lost gets a new record, unless it may have been forgotten or merged: then its shots are left
    out. What undo would take back is dropped if any row is lost, because undo would not be exact.
    """
    notes = [*dict.fromkeys(found.corrected)]
    rows, shots = found.rows, found.rows["shots"]
    lost = {row[1] for row in shots.values()} | {row[4] for row in rows["classes"].values() if row[4] is not None}
    lost -= rows["classes"].keys()
    unexplained = _unexplained(found)
    for id_ in sorted(lost):
        if unexplained:
            del_ = [shot for shot, row in shots.items() if row[1] == id_]
            for shot in del_:
                del shots[shot]
            notes.append(f"{len(del_)} shots of a class whose record is lost were left out: it may have been forgotten")
        else:
            columns = (id_, f"recovered {id_}".encode(), 0, None, None)
            rows["classes"][id_] = (*columns, seal(*columns))
            notes.append(f"the class {id_} has lost its name and is now called 'recovered {id_}'")
    for id_, row in list(rows["classes"].items()):
        if row[4] is not None and row[4] not in rows["classes"]:  # what it was merged into is left out
            for shot in [shot for shot, of in shots.items() if of[1] == id_]:
                del shots[shot]
            del rows["classes"][id_]
    rows["marks"] = {id_: row for id_, row in rows["marks"].items() if row[1] in shots}
    for id_, row in shots.items():
        if row[7] is not None and id_ not in found.crops:
            columns = (*row[:7], None, row[8])
            shots[id_] = (*columns, seal_shot(*columns))
            notes.append(f"the crop of shot {id_} is lost; its embedding is not")
    if found.damaged:
        notes += [damaged.what for damaged in found.damaged if not damaged.id]
        rows["operations"].clear()
        notes.append("the changes before the repair can no longer be undone")
        if KEEP_CROPS not in rows["settings"] and any("'settings'" in d.what for d in found.damaged):
            rows["settings"][KEEP_CROPS] = (KEEP_CROPS, 0, seal(KEEP_CROPS, 0))
            notes.append("new shots keep no crops until that is set again, because a setting is lost")
    return notes


def build(db: sqlite3.Connection, found: Salvage, pages: Pages) -> None:
    """Write all rows into an empty database. Raises GalleryCorrupt if the model is unknown."""
    if found.model is None:
        raise GalleryCorrupt("A gallery must say which model filled it, but that record is lost. Restore a backup.")
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("BEGIN IMMEDIATE")
    create_tables(db)
    for table in _ORDER:
        text = _TEXT.get(table, ())
        for row in found.rows[table].values():
            marks = ", ".join("CAST(? AS TEXT)" if column in text else "?" for column in range(len(row)))
            db.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # nosec B608 # fixed words only
    for shot, jpeg in _crops(found, pages):
        db.execute("INSERT INTO crops VALUES (?, ?)", (shot, jpeg))
    write_header(db, *found.model)
    totals.fill(db)
    for table, highest in _highest(found).items():
        if not db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (highest, table)).rowcount:
            db.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, highest))
    db.execute("COMMIT")
    db.execute("PRAGMA foreign_keys = ON")


def _crops(found: Salvage, pages: Pages) -> Iterator[tuple[int, bytes]]:
    for shot, (page, at) in found.crops.items():
        row = pages.again(page, shot, at) if shot in found.rows["shots"] else None
        jpeg: Any = row.values[1] if row else None
        if jpeg is not None and sha256(jpeg).digest() == found.rows["shots"][shot][7]:
            yield shot, jpeg


def _unexplained(found: Salvage) -> bool:
    """Return whether an operation may have forgotten or merged a class whose record is lost."""
    if any("'operations'" in damaged.what for damaged in found.damaged):
        return True
    known = {row[3] for row in found.rows["classes"].values()} | {row[3] for row in found.rows["marks"].values()}
    return any(row[3] is None and row[6] is None and id_ not in known for id_, row in found.rows["operations"].items())


def _highest(found: Salvage) -> dict[str, int]:
    """Return table -> the highest id that it ever had, so that ids are never used twice."""
    rows = found.rows
    known = {table: max(rows[table], default=0) for table in _ORDER if table != "settings"}
    made = [row[2] for row in rows["classes"].values()] + [row[3] or 0 for row in rows["classes"].values()]
    known["operations"] = max([known["operations"], *made, *(row[3] for row in rows["marks"].values())])
    return {
        table: max(highest, seq) if 0 <= (seq := found.highest.get(table, 0)) <= highest + _SPARE_IDS else highest
        for table, highest in known.items()
    }


def remaining(found: Salvage) -> tuple[Damaged, ...]:
    """Return what is lost, or what was corrected in memory but not yet in the file."""
    fixed = [Damaged(0, "", f"{what} was flipped; repair corrects it") for what in dict.fromkeys(found.corrected)]
    rest = () if found.damaged or fixed else (Damaged(0, "", "the structure of the file is damaged; no row is lost"),)
    return (*found.damaged, *fixed, *rest)
