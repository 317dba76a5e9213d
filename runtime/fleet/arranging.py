"""Brings the shots of a gallery file to their places. The file is a copy: what it shows is decided by the events.

The shots that count for no class now, but can come back, are in one class of the file that was never current: `gone_by`
is 0, which is no operation of this file, so that its own rules neither show nor delete them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256

import numpy as np

from runtime.fleet.events import Place
from runtime.gallery.base import NewShot
from runtime.gallery.memory import Added, Memory, append, load
from runtime.gallery.records import ClassRow, next_id, read_classes, seal_shot, shot_is_sound, shot_row, write_class
from runtime.gallery.shots import write_shot

_PARKED = ClassRow(0, b"", 0, 0, None)


def places(db: sqlite3.Connection, memory: Memory) -> tuple[dict[int, Place], Memory]:
    """Return the place of every sound shot of the file."""
    labels: dict[int, str | None] = {id_: label for label, id_ in memory.ids.items()}
    found: dict[int, Place] = {}
    size = 4 * memory.dim
    damaged = {one.id for one in memory.damaged}
    for id_, owner, negative, length in db.execute("SELECT id, class, negative, length(embedding) FROM shots"):
        if length == size and id_ not in damaged:
            label = labels.get(owner)
            found[id_] = None if label is None else (label, bool(negative))
    return found, memory


def store(db: sqlite3.Connection, memory: Memory, shots: Sequence[NewShot]) -> tuple[list[int], Memory]:
    """Write shots that count for no class yet; return their ids. Raises InvalidShot."""
    owner, first = _parked(db), next_id(db, "shots")
    for id_, shot in enumerate(shots, first):
        write_shot(db, id_, owner, False, shot, memory.dim)
    return list(range(first, first + len(shots))), memory if owner in memory.roots else load(db, memory, {owner})


def arrange(
    db: sqlite3.Connection, memory: Memory, moved: Mapping[int, Place], order: Iterable[str] = ()
) -> tuple[None, Memory]:
    """Let shots count for other classes. Classes without a shot are deleted.

    Args:
        db: The open gallery, within a transaction.
        memory: Its state.
        moved: Shot -> its place from now on.
        order: Labels in the order in which new classes are created.
    """
    wanted = {place[0] for place in moved.values() if place is not None} - memory.ids.keys()
    made: dict[str, int] = {}
    for label in dict.fromkeys((*filter(wanted.__contains__, order), *sorted(wanted))):
        made[label] = next_id(db, "classes")
        write_class(db, ClassRow(made[label], label.encode(), 0, None, None))
    parked, added, touched = _parked(db), [], set[int]()
    only_new = True
    for id_, place in moved.items():
        row = shot_row(db, id_)
        if row[1] is None or not shot_is_sound(row, 4 * memory.dim):
            continue
        owner, negative = (
            (parked, row[2]) if place is None else (made.get(place[0]) or memory.ids[place[0]], int(place[1]))
        )
        fresh = (row[0], owner, negative, *row[3:-1])
        db.execute(
            "UPDATE shots SET class = ?, negative = ?, digest = ? WHERE id = ?",
            (owner, negative, seal_shot(*fresh), id_),
        )
        touched |= {row[1], owner}
        only_new = only_new and row[1] == parked and place is not None and _is_last(memory, place[0], id_)
        if place is not None:
            embedding = np.frombuffer(row[8], "<f4")
            added.append(Added(place[0], id_, place[1], embedding, row[3].decode(), row[4]))
    emptied = [id_ for id_ in touched if memory.roots.get(id_) == id_ and not _has_shots(db, id_)]
    for id_ in emptied:
        db.execute("DELETE FROM classes WHERE id = ?", (id_,))
    if only_new and not emptied and len(memory.classes) == len(memory.ids):
        return None, append(memory, made, added)
    return None, load(db, memory, touched)


def read(db: sqlite3.Connection, memory: Memory, ids: Sequence[int]) -> tuple[list[NewShot | None], Memory]:
    """Return stored shots with their crops; None for one that is damaged."""
    found: list[NewShot | None] = []
    for id_ in ids:
        row = shot_row(db, id_)
        if row[1] is None or not shot_is_sound(row, 4 * memory.dim):
            found.append(None)
            continue
        crop = db.execute("SELECT jpeg FROM crops WHERE shot = ?", (id_,)).fetchone()
        embedding = np.frombuffer(row[8], np.dtype("<f4"))
        found.append(NewShot(embedding, crop[0] if crop else None, row[3].decode(), row[4], row[5].decode(), row[6]))
    return found, memory


def discard(db: sqlite3.Connection, memory: Memory, ids: Collection[int]) -> tuple[None, Memory]:
    """Delete shots for good. The caller wipes the write-ahead log after that."""
    owners = {owner for id_ in ids for (owner,) in db.execute("SELECT class FROM shots WHERE id = ?", (id_,))}
    db.executemany("DELETE FROM shots WHERE id = ?", [(id_,) for id_ in ids])
    for id_ in owners:
        if memory.roots.get(id_) == id_ and not _has_shots(db, id_):
            db.execute("DELETE FROM classes WHERE id = ?", (id_,))
    return None, load(db, memory, owners)


def add_crops(db: sqlite3.Connection, memory: Memory, crops: Mapping[int, bytes]) -> tuple[None, Memory]:
    """Give shots that were stored without a crop theirs."""
    for id_, jpeg in crops.items():
        row = shot_row(db, id_)
        if row[1] is None or row[7] is not None or not shot_is_sound(row, 4 * memory.dim):
            continue
        digest = sha256(jpeg).digest()
        fresh = (*row[:7], digest, row[8])
        db.execute("UPDATE shots SET crop_digest = ?, digest = ? WHERE id = ?", (digest, seal_shot(*fresh), id_))
        db.execute("INSERT OR REPLACE INTO crops VALUES (?, ?)", (id_, jpeg))
    return None, memory


def _parked(db: sqlite3.Connection) -> int:
    """Return the class of the shots that count for no class, which is created if it is absent."""
    for row, sound in read_classes(db, "gone_by = ?", 0):
        if sound:
            return row.id
    id_ = next_id(db, "classes")
    write_class(db, _PARKED._replace(id=id_))
    return id_


def _is_last(memory: Memory, label: str, id_: int) -> bool:
    """Return whether a shot comes after all that the class has, so that it can be appended in memory."""
    shots = memory.classes.get(label)
    return shots is None or bool(shots.ids[-1] < id_)


def _has_shots(db: sqlite3.Connection, class_: int) -> bool:
    return db.execute("SELECT 1 FROM shots WHERE class = ? LIMIT 1", (class_,)).fetchone() is not None
