"""The contents of a gallery in memory: an immutable snapshot that is read with every digest checked."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.gallery import retention
from runtime.gallery.base import ClassShots, Damaged, GalleryInfo
from runtime.gallery.records import (
    ClassRow,
    every_shot,
    read_background,
    read_classes,
    read_header,
    read_marks,
    read_setting,
    rows_of_class,
    shot_is_sound,
)

KEEP_CROPS = "keep_crops"
STRANGER_RATE = "stranger_rate"  # in millionths
UNDO_MINUTES = "undo_minutes"
PRECISION = "precision"  # in bits
BITS = {"fp32": 32, "fp16": 16, "int8": 8}
_LOST = -1  # stands for the root of a class whose record, or a record that it was merged into, is damaged


@dataclass(frozen=True)
class Memory:
    """One consistent state. It is replaced as a whole, so readers need no lock."""

    fingerprint: str
    dim: int
    roots: Mapping[int, int | None]  # class -> the current class that its shots count for; None if it was forgotten
    ids: Mapping[str, int]  # label -> current class, in order of first enrolment
    classes: MappingProxyType[str, ClassShots]  # in the same order; a class without any undamaged shot is left out
    damaged: tuple[Damaged, ...]
    keep_crops: bool
    stranger_rate: float | None  # None if it was never set
    precision: str | None  # of the model that computed the embeddings; None if it is not known
    undo_minutes: int  # how long forgetting can be undone
    unknown_frames: NDArray[np.float32]  # [S, D], read-only: a person said that they show nothing taught


class Added(NamedTuple):
    """A shot that was just written."""

    label: str
    id: int
    negative: bool
    embedding: NDArray[np.float32]
    burst: str
    quality: float


def load(db: sqlite3.Connection, before: Memory | None = None, touched: Collection[int] | None = None) -> Memory:
    """Read the gallery within a transaction.

    Args:
        db: The open gallery.
        before: The state before; a class that did not change stays the same object as in it.
        touched: Ids of the classes that were changed, made or deleted since; of the current classes, only their records
            and shots are read. None means that all may have changed.
    """
    fingerprint, dim = read_header(db)
    labels: dict[int, str] = {}
    if before is None or before.damaged or touched is None:
        touched, found = None, read_classes(db)
    else:
        labels = {id_: label for label, id_ in before.ids.items() if id_ not in touched}
        found = chain(read_classes(db, "gone_by IS NOT NULL"), *(read_classes(db, "id = ?", id_) for id_ in touched))
    rows, damaged = _sound(found)
    if damaged and touched is not None:
        return load(db, before)
    roots = {id_: id_ for id_ in labels} | {id_: _root(id_, rows, labels) for id_ in rows}
    labels |= {id_: row.label.decode() for id_, row in rows.items() if roots[id_] == id_}
    ids = {labels[id_]: id_ for id_ in sorted(labels)}
    shots = {before.ids[label]: shots for label, shots in before.classes.items()} if before else {}
    wanted: Iterable[tuple[Any, ...]]
    if before and touched is not None:
        changed = {root for id_ in touched for of in (roots, before.roots) if (root := of.get(id_)) is not None}
        wanted = rows_of_class(db, roots, *changed)
    else:
        changed, wanted = {*labels, *shots}, every_shot(db)
    read, broken = _group(wanted, dim, roots, labels, read_marks(db))
    for id_ in changed:
        new = read.get(id_)
        if new is None:
            shots.pop(id_, None)
        elif id_ not in shots or not _same(shots[id_], new):
            shots[id_] = new
    return Memory(
        fingerprint=fingerprint,
        dim=dim,
        roots=roots,
        ids=ids,
        classes=MappingProxyType({label: shots[id_] for label, id_ in ids.items() if id_ in shots}),
        damaged=(*damaged, *broken),
        unknown_frames=_unknown_frames(db, dim, before),
        **read_settings(db),
    )


def read_settings(db: sqlite3.Connection) -> dict[str, Any]:
    """Read the fields of `Memory` that are settings of the gallery."""
    bits = read_setting(db, PRECISION)
    return {
        "keep_crops": read_setting(db, KEEP_CROPS) != 0,
        "stranger_rate": None if (millionths := read_setting(db, STRANGER_RATE)) is None else millionths / 1e6,
        "precision": next((name for name in BITS if BITS[name] == bits), None),
        "undo_minutes": retention.UNDO_MINUTES if (minutes := read_setting(db, UNDO_MINUTES)) is None else minutes,
    }


def _unknown_frames(db: sqlite3.Connection, dim: int, before: Memory | None) -> NDArray[np.float32]:
    """Read them; the array of before is returned if it is still the same."""
    rows = [np.frombuffer(row, "<f4") for told, row in read_background(db, 4 * dim) if told]
    frames = np.array(rows, np.float32).reshape(-1, dim)
    frames.setflags(write=False)
    return before.unknown_frames if before and np.array_equal(frames, before.unknown_frames) else frames


def append(before: Memory, new_classes: Mapping[str, int], added: Iterable[Added]) -> Memory:
    """Return what `load` would return after these shots were written, without reading the file."""
    groups: dict[str, list[Added]] = {}
    for shot in added:
        groups.setdefault(shot.label, []).append(shot)
    classes = before.classes.copy()
    for label, group in groups.items():
        old = classes.get(label)
        shots = [shot for shot in group if not shot.negative]
        fresh = _class_shots(
            label,
            [shot.id for shot in shots],
            np.array([shot.embedding for shot in shots], np.float32).reshape(-1, before.dim),
            [shot.burst for shot in shots],
            [shot.quality for shot in shots],
            np.array([shot.embedding for shot in group if shot.negative], np.float32).reshape(-1, before.dim),
        )
        classes[label] = _joined(old, fresh) if old else fresh
    return replace(
        before,
        roots={**before.roots, **{id_: id_ for id_ in new_classes.values()}},
        ids={**before.ids, **new_classes},
        classes=MappingProxyType(classes),
    )


def census(db: sqlite3.Connection) -> GalleryInfo:
    """Count current classes and their shots without reading any shot."""
    rows, _ = _sound(read_classes(db))
    counts = [0, 0]
    classes = {id_ for id_ in rows if _root(id_, rows) == id_}
    removed = [shot for shot, keep in read_marks(db).items() if not keep]
    gone = f"id NOT IN ({','.join(map(str, removed))})"
    counted = f"SELECT class, negative, count(*) FROM shots WHERE {gone} GROUP BY class, negative"  # nosec B608 # fixed words and whole numbers
    for owner, negative, count in db.execute(counted):
        if _root(owner, rows) in classes:
            counts[1 if negative else 0] += count
    return GalleryInfo(*read_header(db), len(classes), *counts)


def _sound(found: Iterable[tuple[ClassRow, bool]]) -> tuple[dict[int, ClassRow], list[Damaged]]:
    rows, damaged = {}, []
    for row, sound in found:
        if sound:
            rows[row.id] = row
        else:
            label = row.label.decode(errors="replace") if isinstance(row.label, bytes) else ""
            damaged.append(Damaged(row.id, label, "the record of this class is damaged, so its shots are not used"))
    return rows, damaged


def _root(id_: int, rows: Mapping[int, ClassRow], current: Collection[int] = ()) -> int | None:
    """Follow merges to the current class; None if that was forgotten, _LOST if a record on the way is damaged.

    Args:
        id_: The class.
        rows: The records of classes by id.
        current: More current classes.
    """
    for _ in range(len(rows) + 1):
        if id_ not in rows:
            return id_ if id_ in current else _LOST
        if rows[id_].gone_by is None:
            return id_
        into = rows[id_].merged_into
        if into is None:
            return None
        id_ = into
    return _LOST


def _group(
    rows: Iterable[tuple[Any, ...]],
    dim: int,
    roots: Mapping[int, int | None],
    labels: Mapping[int, str],
    marks: Mapping[int, bool],
) -> tuple[dict[int, ClassShots], list[Damaged]]:
    """Check rows and stack them by current class."""
    members: dict[int, tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]] = {}  # shots and negatives
    sound: set[int] = set()
    damaged = []
    for row in rows:
        root = roots.get(row[1], _LOST)
        if not shot_is_sound(row, 4 * dim):
            damaged.append(Damaged(row[0], labels.get(root or _LOST, ""), "the record of this shot is damaged"))
        elif root == _LOST:
            damaged.append(Damaged(row[0], "", "the record of the class of this shot is damaged"))
        elif root is not None and row[0] not in sound and marks.get(row[0], True):
            sound.add(row[0])
            members.setdefault(root, ([], []))[1 if row[2] else 0].append(row)
    return {
        root: _class_shots(
            labels[root],
            [row[0] for row in shots],
            _matrix(shots, dim),
            [row[3].decode() for row in shots],
            [row[4] for row in shots],
            _matrix(negatives, dim),
        )
        for root, (shots, negatives) in members.items()
        if shots
    }, damaged


def _matrix(rows: Sequence[tuple[Any, ...]], dim: int) -> NDArray[np.float32]:
    return np.frombuffer(b"".join([row[8] for row in rows]), np.float32).reshape(-1, dim)


def _class_shots(
    label: str,
    ids: Sequence[int] | NDArray[np.int64],
    embeddings: NDArray[np.float32],
    bursts: Sequence[str],
    qualities: Sequence[float] | NDArray[np.float32],
    negatives: NDArray[np.float32],
) -> ClassShots:
    arrays = np.array(ids, np.int64), embeddings, np.array(qualities, np.float32), negatives
    for array in arrays:
        array.setflags(write=False)
    return ClassShots(label, arrays[0], arrays[1], tuple(bursts), arrays[2], arrays[3])


def _joined(old: ClassShots, new: ClassShots) -> ClassShots:
    return _class_shots(
        old.label,
        np.concatenate([old.ids, new.ids]),
        np.concatenate([old.embeddings, new.embeddings]),
        old.bursts + new.bursts,
        np.concatenate([old.qualities, new.qualities]),
        np.concatenate([old.negatives, new.negatives]),
    )


def _same(one: ClassShots, other: ClassShots) -> bool:
    arrays = ("ids", "embeddings", "qualities", "negatives")
    return (one.label, one.bursts) == (other.label, other.bursts) and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays
    )
