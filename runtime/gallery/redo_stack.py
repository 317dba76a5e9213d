"""The rows of undone operations, kept in temporary tables of the connection, so that `redo` can write them back.

The tables are gone when the gallery is closed: the file itself holds nothing that was undone, and its format does not
know of redo. An entry counts only while the gallery is exactly as the undo left it, whichever process changed it since.
"""

from __future__ import annotations

import sqlite3

from runtime.gallery.records import OperationRow, next_id

TABLES = ("operations", "classes", "shots", "crops", "marks")  # in the order in which rows can be written back


def create(db: sqlite3.Connection) -> None:
    """Create the temporary tables, which a new connection lacks."""
    db.execute("CREATE TEMP TABLE undone (operation INTEGER PRIMARY KEY, newest INTEGER, next INTEGER)")
    for table in TABLES:
        db.execute(f"CREATE TEMP TABLE undone_{table} AS SELECT *, 0 AS undone FROM {table} WHERE 0")  # nosec B608 # fixed words only


def keep(db: sqlite3.Connection, operation: OperationRow) -> None:
    """Copy every row that undoing this operation will delete or change."""
    id_, span = operation.id, (operation.first_shot or 0, operation.last_shot or -1)
    rows: dict[str, tuple[str, tuple[int | None, ...]]] = {
        "operations": ("id = ?", (id_,)),
        "classes": ("made_by = ? OR gone_by = ? OR id = ?", (id_, id_, operation.class_id)),
        "shots": ("id BETWEEN ? AND ?", span),
        "crops": ("shot BETWEEN ? AND ?", span),
        "marks": ("made_by = ?", (id_,)),
    }
    for table, (where, values) in rows.items():
        db.execute(f"INSERT INTO undone_{table} SELECT *, ? FROM {table} WHERE {where}", (id_, *values))  # nosec B608 # fixed words only


def seal(db: sqlite3.Connection, operation: int) -> None:
    """Note the state of the gallery after the undo."""
    db.execute("INSERT INTO undone VALUES (?, ?, ?)", (operation, *_state(db)))


def undone(db: sqlite3.Connection) -> list[OperationRow]:
    """Return the operations that can be redone, the next one first; none after any other change."""
    state = db.execute("SELECT newest, next FROM undone ORDER BY operation").fetchone()
    if state is None or state != _state(db):
        return []
    return [OperationRow(*row[:-2]) for row in db.execute("SELECT * FROM undone_operations ORDER BY id")]


def restore(db: sqlite3.Connection, operation: int) -> set[int]:
    """Write the rows of an undone operation back, and return the ids of the classes that this changes."""
    classes = "SELECT id FROM undone_classes WHERE undone = :id UNION SELECT class FROM undone_shots WHERE undone = :id"
    touched = {id_ for (id_,) in db.execute(classes, {"id": operation})}
    for table in TABLES:
        names = [column[0] for column in db.execute(f"SELECT * FROM {table} WHERE 0").description]  # nosec B608 # fixed words only
        columns, key = ", ".join(names), names[0]
        replaced = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
        db.execute(
            f"INSERT INTO {table} ({columns}) SELECT {columns} FROM undone_{table} WHERE undone = ? ORDER BY {key} "  # nosec B608 # fixed words only
            f"ON CONFLICT ({key}) DO UPDATE SET {replaced}",
            (operation,),
        )
        db.execute(f"DELETE FROM undone_{table} WHERE undone = ?", (operation,))  # nosec B608 # fixed words only
    db.execute("DELETE FROM undone WHERE operation = ?", (operation,))
    marked = "SELECT DISTINCT class FROM shots JOIN marks ON shot = shots.id WHERE made_by = ?"
    return touched | {owner for (owner,) in db.execute(marked, (operation,))}


def clear_stale(db: sqlite3.Connection) -> None:
    """Delete everything kept when a new change means that it cannot be redone."""
    if db.execute("SELECT 1 FROM undone").fetchone() and not undone(db):
        clear(db)


def clear(db: sqlite3.Connection) -> None:
    for table in ("undone", *(f"undone_{table}" for table in TABLES)):
        db.execute(f"DELETE FROM {table}")  # nosec B608 # fixed words only


def _state(db: sqlite3.Connection) -> tuple[int | None, int]:
    """Return the newest operation and the id of the next one: they differ after every change but a redo."""
    (newest,) = db.execute("SELECT max(id) FROM operations").fetchone()
    return newest, next_id(db, "operations")
