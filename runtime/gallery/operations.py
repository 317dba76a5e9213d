"""Every change to a gallery, and its inverse. Each runs in a write transaction and returns (result, new memory).

Operations are undone newest first, so the gallery is then exactly as the operation left it. One inverse fits them all:
delete the shots and classes that it made, restore the class that it removed, and restore the label that it changed.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from runtime.errors import GalleryCorrupt, InvalidLabel, InvalidShot, NothingToUndo, StaleOperation
from runtime.gallery import redo_stack
from runtime.gallery.base import NewShot
from runtime.gallery.labels import clean_label, normalised, unknown_label
from runtime.gallery.memory import PRECISION, UNDO_MINUTES, Added, Memory, append, load, read_settings
from runtime.gallery.records import (
    ClassRow,
    OperationRow,
    next_id,
    read_backups,
    read_classes,
    read_operations,
    seal_shot,
    shot_is_sound,
    shot_row,
    write_background,
    write_backup,
    write_class,
    write_header,
    write_mark,
    write_operation,
    write_setting,
)
from runtime.gallery.retention import KEPT_OPERATIONS, Doomed
from runtime.gallery.shots import checked_embedding, no_shot, write_shot

MAX_UNKNOWN_FRAMES = 200


def class_id(memory: Memory, label: str) -> int:
    """Return the id of the current class with this label. Raises UnknownLabel."""
    label = normalised(label)
    if label not in memory.ids:
        raise unknown_label(label, memory.ids)
    return memory.ids[label]


def enroll(
    db: sqlite3.Connection, memory: Memory, batch: Iterable[tuple[str, NewShot, bool]], what: str, moved: int = 0
) -> tuple[list[int], Memory]:
    """Add (label, shot, negative) in order, and remove the shot `moved` if not 0. Only enrolling creates classes."""
    operation, first_shot, next_class = (next_id(db, table) for table in ("operations", "shots", "classes"))
    made: dict[str, int] = {}
    added: list[Added] = []
    for raw_label, shot, negative in batch:
        label = normalised(raw_label)
        if label not in memory.ids and label not in made:
            if negative or moved:
                raise unknown_label(label, memory.ids)
            clean_label(label)
            made[label] = next_class + len(made)
            write_class(db, ClassRow(made[label], label.encode(), operation, None, None))
        owner = made[label] if label in made else memory.ids[label]
        if not memory.keep_crops:
            shot = replace(shot, crop=None)
        id_ = first_shot + len(added)
        embedding = write_shot(db, id_, owner, negative, shot, memory.dim)
        added.append(Added(label, id_, negative, embedding, shot.burst, shot.quality))
    if not added:
        raise InvalidShot("At least one shot must be given, but there is none. Show the object to the camera again.")
    ids = [shot.id for shot in added]
    write_operation(db, OperationRow(operation, time.time(), what.encode(), ids[0], ids[-1], None, None))
    if moved:
        touched = {memory.ids[label] for label in (_spare(memory, moved), *(shot.label for shot in added))}
        write_mark(db, moved, operation, keep=False)
        return ids, load(db, memory, touched)
    if all(shot.label in memory.classes or shot.label in made for shot in added):
        return ids, append(memory, made, added)
    return ids, load(db, memory, {memory.ids[shot.label] for shot in added if shot.label in memory.ids})


def forget(db: sqlite3.Connection, memory: Memory, label: str) -> tuple[int, Memory]:
    """Mark a class as forgotten. `purge` deletes it when the operation can no longer be undone."""
    id_, count = class_id(memory, label), _count(memory, label)
    _remove(db, id_, None, f"forgot {normalised(label)!r} ({counted(count)})")
    return count, load(db, memory, {id_})


def rename(db: sqlite3.Connection, memory: Memory, label: str, to: str) -> tuple[None, Memory]:
    """Give a class another label, which must be free. Its place in the order stays."""
    id_, to = class_id(memory, label), clean_label(to)
    if to in memory.ids:
        raise InvalidLabel(f"The new label must be free, but {to!r} is a class already. To join the two, merge them.")
    row = _class_row(db, id_)
    write_class(db, row._replace(label=to.encode()))
    what = f"renamed {normalised(label)!r} to {to!r}".encode()
    write_operation(db, OperationRow(next_id(db, "operations"), time.time(), what, None, None, id_, row.label))
    return None, load(db, memory, {id_})


def merge(db: sqlite3.Connection, memory: Memory, label: str, into: str) -> tuple[int, Memory]:
    """Let the shots and negative examples of one class count for another."""
    id_, target = class_id(memory, label), class_id(memory, into)
    if id_ == target:
        raise InvalidLabel(f"Two different classes must be merged, but both are {normalised(into)!r}. Name another.")
    count = _count(memory, label)
    _remove(db, id_, target, f"merged {normalised(label)!r} ({counted(count)}) into {normalised(into)!r}")
    return count, load(db, memory, {id_})


def remove_shot(db: sqlite3.Connection, memory: Memory, shot_id: int) -> tuple[str, Memory]:
    """Remove a shot, which `purge` makes final. Returns its class."""
    label = _spare(memory, shot_id)
    operation = next_id(db, "operations")
    write_mark(db, shot_id, operation, keep=False)
    what = f"removed shot {shot_id} of {label!r}".encode()
    write_operation(db, OperationRow(operation, time.time(), what, None, None, None, None))
    return label, load(db, memory, {memory.ids[label]})


def _spare(memory: Memory, shot_id: int) -> str:
    """Return the class of a shot. Raises InvalidShot if there is no such shot, or if it is the last of its class."""
    label = next((label for label, shots in memory.classes.items() if shot_id in shots.ids), None)
    if label is None:
        raise no_shot(shot_id)
    if len(memory.classes[label].ids) == 1:
        raise InvalidShot(
            f"A class must keep one shot at least, but {shot_id} is the last of {label!r}. Forget the class."
        )
    return label


def set_setting(db: sqlite3.Connection, memory: Memory, name: str, value: int) -> tuple[None, Memory]:
    """Set a setting on which no stored record depends."""
    write_setting(db, name, value)
    return None, replace(memory, **read_settings(db))


def set_undo_minutes(db: sqlite3.Connection, memory: Memory, minutes: int) -> tuple[None, Memory]:
    """Set for how many minutes forgetting can be undone."""
    write_setting(db, UNDO_MINUTES, minutes)
    return None, replace(memory, undo_minutes=minutes)


def note_backup(db: sqlite3.Connection, memory: Memory, path: str) -> tuple[None, Memory]:
    """Note where a backup is, so that `purge` deletes from it too."""
    if path not in read_backups(db):
        write_backup(db, path)
    return None, memory


def add_unknown_frames(db: sqlite3.Connection, memory: Memory, embeddings: NDArray[np.float32]) -> tuple[None, Memory]:
    """Add frames, float32 [N, dim], that show nothing taught; the oldest beyond MAX_UNKNOWN_FRAMES are dropped."""
    for embedding in embeddings:
        write_background(db, checked_embedding(embedding, memory.dim).tobytes(), told=True)
    db.execute(
        "DELETE FROM background WHERE told = 0 OR id NOT IN"
        " (SELECT id FROM background WHERE told ORDER BY id DESC LIMIT ?)",
        (MAX_UNKNOWN_FRAMES,),
    )
    return None, load(db, memory, ())


def undo(db: sqlite3.Connection, memory: Memory, expected: int | None = None) -> tuple[str, Memory]:
    """Take back the newest operation and keep its rows for `redo`; `expected` as in `SqliteGallery.undo`."""
    operation = next(read_operations(db), None)
    if operation is None:
        raise NothingToUndo(
            f"There must be a change to undo, but none is left: the newest {KEPT_OPERATIONS} are kept. "
            "Use forget or rename."
        )
    _require_expected(operation, expected, "undone", "newest")
    id_ = operation.id
    span = operation.first_shot or 0, operation.last_shot or -1
    touched = {owner for (owner,) in db.execute("SELECT DISTINCT class FROM shots WHERE id BETWEEN ? AND ?", span)}
    marked = db.execute("SELECT DISTINCT class FROM shots JOIN marks ON shot = shots.id WHERE made_by = ?", (id_,))
    touched |= {owner for (owner,) in marked}
    redo_stack.keep(db, operation)
    db.execute("DELETE FROM marks WHERE made_by = ?", (id_,))
    db.execute("DELETE FROM shots WHERE id BETWEEN ? AND ?", span)
    _delete_classes(db, "made_by = ?", id_)  # those of the shots that were just deleted
    for (gone,) in db.execute("SELECT id FROM classes WHERE gone_by = ?", (id_,)).fetchall():
        row = _class_row(db, gone)
        write_class(db, row._replace(gone_by=None, merged_into=None))
        touched.add(row.id)
    if operation.was is not None and operation.class_id is not None:
        row = _class_row(db, operation.class_id)
        write_class(db, row._replace(label=operation.was))
        touched.add(row.id)
    db.execute("DELETE FROM operations WHERE id = ?", (id_,))
    redo_stack.seal(db, id_)
    return operation.what.decode(), load(db, memory, touched)


def redo(db: sqlite3.Connection, memory: Memory, expected: int | None = None) -> tuple[str, Memory]:
    """Make the operation again that was undone last; `expected` as in `SqliteGallery.redo`."""
    operation = next(iter(redo_stack.undone(db)), None)
    if operation is None:
        raise NothingToUndo(
            "There must be an undone change to redo, but there is none: a new change clears what could be redone."
        )
    _require_expected(operation, expected, "redone", "one to redo")
    return operation.what.decode(), load(db, memory, redo_stack.restore(db, operation.id))


def _require_expected(operation: OperationRow, expected: int | None, done: str, role: str) -> None:
    """Raise StaleOperation unless the operation is the one that the caller means."""
    if expected not in (None, operation.id):
        raise StaleOperation(
            f"Change {expected} must be the {role} to be {done}, but the {role} is {operation.id}: "
            f"{operation.what.decode()}. Nothing was changed."
        )


def replace_embeddings(
    db: sqlite3.Connection,
    memory: Memory,
    embeddings: Mapping[int, NDArray[np.float32]],
    fingerprint: str,
    dim: int,
    bits: int,
) -> tuple[None, Memory]:
    """Replace the embeddings of all undamaged shots; damaged shots keep their record, so that they stay damaged."""
    missing = []
    for (id_,) in db.execute("SELECT id FROM shots").fetchall():
        row = shot_row(db, id_)
        if not shot_is_sound(row, 4 * memory.dim):
            continue
        if id_ not in embeddings:
            missing.append(id_)
            continue
        fresh = *row[:-2], checked_embedding(embeddings[id_], dim).tobytes()
        db.execute("UPDATE shots SET embedding = ?, digest = ? WHERE id = ?", (fresh[-1], seal_shot(*fresh), id_))
    if missing:
        raise InvalidShot(
            "Every stored shot must get a new embedding, including forgotten shots that undo can restore, but "
            f"{len(missing)} have none (ids {missing[:5]}…). Give one for each of stored_ids(). Nothing was changed."
        )
    redo_stack.clear(db)  # its embeddings are of the previous model
    if fingerprint != memory.fingerprint:
        db.execute("DELETE FROM background")  # its frames have no crops and cannot be embedded again
    write_header(db, fingerprint, dim)
    write_setting(db, PRECISION, bits)
    return None, load(db, memory)


def purge(db: sqlite3.Connection, memory: Memory, doomed: Doomed) -> tuple[None, Memory]:
    """Delete for good what was forgotten or removed up to an operation, and what undo and redo would need of it."""
    db.execute("DELETE FROM operations WHERE id <= ?", (doomed.newest,))
    db.executemany("DELETE FROM shots WHERE id = ?", [(shot,) for shot in doomed.shots])
    db.executemany("DELETE FROM classes WHERE id = ?", [(id_,) for id_ in reversed(doomed.classes)])
    return None, load(db, memory, ())


# They make the gallery smaller, or soon will, and may use the space that is reserved for a full disk.
DELETING = (forget, remove_shot, undo, purge, set_undo_minutes)


def _delete_classes(db: sqlite3.Connection, where: str, operation: int) -> None:
    """Delete classes. ON DELETE CASCADE deletes what was merged into them, and all their shots and crops."""
    doomed = [row.id for row, sound in read_classes(db, where, operation) if sound]  # a damaged row may be wrong
    for id_ in doomed:
        db.execute("DELETE FROM classes WHERE id = ?", (id_,))


def _class_row(db: sqlite3.Connection, id_: int) -> ClassRow:
    """Read a class that is about to be rewritten. Raises GalleryCorrupt, because a new digest would hide damage."""
    for row, sound in read_classes(db, "id = ?", id_):
        if sound:
            return row
    raise GalleryCorrupt("A class must be sound to be changed, but its record is damaged. Restore a backup.")


def _remove(db: sqlite3.Connection, id_: int, merged_into: int | None, what: str) -> None:
    operation = next_id(db, "operations")
    row = _class_row(db, id_)
    write_class(db, row._replace(gone_by=operation, merged_into=merged_into))
    write_operation(db, OperationRow(operation, time.time(), what.encode(), None, None, None, None))


def _count(memory: Memory, label: str) -> int:
    shots = memory.classes.get(normalised(label))
    return len(shots.ids) if shots else 0


def counted(count: int) -> str:
    """Return "1 shot", "2 shots"."""
    return f"{count} shot{'' if count == 1 else 's'}"
