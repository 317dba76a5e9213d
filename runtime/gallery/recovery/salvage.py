"""Rescues all rows of a damaged gallery file that can be verified.

The first page, the structure of the tables and the indexes are not needed: every page is searched for rows whose digest
matches. A flipped bit within a row is corrected if exactly that makes its digest match.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from runtime.gallery.base import Damaged
from runtime.gallery.records import MODEL, seal, seal_shot, total_is_sound
from runtime.gallery.recovery.pages import PAGE, Pages, Row
from runtime.gallery.recovery.totals import FORMAT, STATE, TABLES, added_up
from runtime.gallery.recovery.wal import committed_pages, wal_path

CORRECTED_ROWS = 10  # damaged rows in which a flipped bit is searched
CORRECTED_BYTES = 2500  # of such a row
_BY_COLUMNS = {
    3: ("settings", "backups"),
    4: ("header", "background", "totals"),
    5: ("marks",),
    6: ("classes",),
    8: ("operations",),
    10: ("shots",),
}
_NAMED = ("settings", "totals")  # their first column is a name; that of the other tables is the id
_REAL_COLUMNS = {"shots": (4, 6), "operations": (1,)}  # SQLite stores 1.0 as the integer 1
Record = tuple[Any, ...]


@dataclass
class Salvage:
    """The verified rows of a file.

    Attributes:
        rows: Table -> id or name -> row, with `totals` as another table.
        crops: Shot -> (page, place) of its crop.
        highest: Table -> the highest id that it ever had, unverified.
        corrected: What was corrected.
        unread: Number of rows that could not be verified as they are.
        damaged: What was lost.
    """

    rows: dict[str, dict[Any, Record]] = field(default_factory=lambda: {table: {} for table in (*TABLES, "totals")})
    crops: dict[int, tuple[int, int]] = field(default_factory=dict)
    highest: dict[str, int] = field(default_factory=dict)
    corrected: list[str] = field(default_factory=list)
    unread: int = 0
    damaged: list[Damaged] = field(default_factory=list)

    @property
    def model(self) -> tuple[str, int] | None:
        """The fingerprint and the dimension; None if no copy of them is left."""
        if header := self.rows["header"].get(1):
            return header[1].decode(), header[2]
        copy = self.rows["totals"].get(MODEL.encode())
        return (copy[2].decode(), copy[1]) if copy else None


def salvage(path: Path) -> tuple[Salvage, Pages] | None:
    """Read all rows that can be verified; None if the file is not a gallery, or of a newer format."""
    try:
        pages = Pages(path, committed_pages(wal_path(path)))
    except OSError:
        return None
    found, candidates, overflow = Salvage(), list[tuple[int, Row]](), set[int]()
    for page in range(1, pages.count + 1):
        _read_listed(pages, page, found, candidates, overflow)
    _match_crops(found, candidates)
    if any(_incomplete(found)) or len(found.crops) < len(_crop_digests(found)):
        listed_crops = len(candidates)
        for page in sorted(set(range(1, pages.count + 1)) - overflow):  # a page may list too few of its rows
            for row in pages.anywhere(page):
                _keep(found, page, row, candidates, overwrite=False)
        _match_crops(found, candidates[listed_crops:])
    state = found.rows["totals"].get(STATE.encode())
    if found.model is None or (state and state[1] > FORMAT):
        return None
    found.damaged += _incomplete(found)
    for shot in sorted(_crop_digests(found).keys() - found.crops.keys()):
        found.damaged.append(Damaged(shot, "", "the crop of this shot is damaged or missing"))
    return found, pages


def _read_listed(
    pages: Pages, page: int, found: Salvage, candidates: list[tuple[int, Row]], overflow: set[int]
) -> None:
    """Read the rows that a page lists; note the pages on which they continue."""
    data = pages[page]
    if not any(data):
        return
    for row in pages.listed(page):
        if isinstance(row, int) or not _keep(found, page, row, candidates):
            at = row if isinstance(row, int) else row.cell
            found.unread += page > 1  # the first page lists the tables
            if 1 <= found.unread <= CORRECTED_ROWS and page > 1 and (fixed := _corrected(pages, page, at)):
                _keep(found, page, fixed, candidates)
                found.corrected.append(f"one bit of a row of the table {_verified(fixed)[0]!r}")
        else:
            overflow.update(pages.overflow(data, row))


def _keep(found: Salvage, page: int, row: Row, candidates: list[tuple[int, Row]], *, overwrite: bool = True) -> bool:
    """Store a row if it can be verified, or may be a crop; return whether it is one of these."""
    table, record = _verified(row)
    if table:
        if overwrite or record[0] not in found.rows[table]:
            found.rows[table][record[0]] = record
        return True
    if len(row.values) != 2:
        return False
    name, value = row.values
    if name is None and isinstance(value, bytes):
        candidates.append((page, row._replace(values=(sha256(value).digest(),))))
        return True
    if isinstance(name, bytes) and isinstance(value, int) and name.decode(errors="replace") in TABLES:
        found.highest[name.decode()] = value
        return True
    return False


def _match_crops(found: Salvage, candidates: list[tuple[int, Row]]) -> None:
    wanted = _crop_digests(found)
    for page, row in candidates:
        if wanted.get(row.id) == row.values[0]:
            found.crops[row.id] = page, row.at


def _crop_digests(found: Salvage) -> dict[int, bytes]:
    return {id_: row[7] for id_, row in found.rows["shots"].items() if row[7] is not None}


def _incomplete(found: Salvage) -> Iterator[Damaged]:
    """Yield a record for each table whose rows are not exactly those that were written."""
    stored = found.rows["totals"]
    if not stored:
        yield Damaged(0, "", "no total could be verified, so it is not known whether all records are left")
        return
    for table in TABLES:
        rows = found.rows[table].values()
        total = stored.get(table.encode())
        if total is None:
            yield Damaged(0, "", f"the total of the table {table!r} is lost")
        elif (total[1], total[2]) != added_up([row[-1] for row in rows]):
            yield Damaged(0, "", f"{len(rows)} of {total[1]} rows of the table {table!r} could be verified")
    if MODEL.encode() not in stored or STATE.encode() not in stored:
        yield Damaged(0, "", "the copy of the record of the model, or the id of the state, is lost")


def _verified(row: Row) -> tuple[str, Record]:
    """Return (table, row) if a digest proves that it is a row of that table, else ("", ())."""
    for table in _BY_COLUMNS.get(len(row.values), ()):
        first, *rest = row.values
        named = table in _NAMED
        if not isinstance(row.values[-1], bytes) or (not isinstance(first, bytes) if named else first is not None):
            continue
        record: list[Any] = [first if named else row.id, *rest]
        for column in _REAL_COLUMNS.get(table, ()):
            record[column] = float(record[column]) if isinstance(record[column], int) else record[column]
        if _is_sound(table, record):
            return table, tuple(record)
    return "", ()


def _is_sound(table: str, record: list[Any]) -> bool:
    *columns, digest = record
    if table == "shots":
        return bool(seal_shot(*columns) == digest)
    if table == "background":
        return isinstance(columns[2], bytes) and bool(seal(*columns[:2], blob=columns[2]) == digest)
    return bool(total_is_sound(record) if table == "totals" else seal(*columns) == digest)


def _corrected(pages: Pages, page: int, at: int) -> Row | None:
    """Search the one flipped bit without which the row at this place can be verified."""
    data = bytearray(pages[page])
    for place in range(at, min(PAGE, at + CORRECTED_BYTES)):
        for bit in range(8):
            data[place] ^= 1 << bit
            row = pages.row(bytes(data), at)
            data[place] ^= 1 << bit
            if row and _verified(row)[0]:
                return row
    return None
