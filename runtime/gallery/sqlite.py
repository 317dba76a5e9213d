"""A gallery in one SQLite file, with everything that recognition needs in memory.

Several threads may share a gallery, and several processes may share a file: each write first reads what others changed,
and `refresh` does the same without writing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from runtime.errors import GalleryCorrupt, InvalidShot, OptionError
from runtime.gallery import operations, redo_stack
from runtime.gallery.base import ClassShots, NewShot, Operation, ShotRecord
from runtime.gallery.labels import normalised
from runtime.gallery.maintenance import GalleryMaintenance
from runtime.gallery.memory import (
    BITS,
    KEEP_CROPS,
    PRECISION,
    STRANGER_RATE,
    Memory,
)
from runtime.gallery.records import (
    OperationRow,
    every_shot,
    read_marks,
    read_operations,
    rows_of_class,
    shot_is_sound,
    shot_row,
)
from runtime.gallery.shots import no_shot, shot_record


class SqliteGallery(GalleryMaintenance):
    """The gallery that `open_gallery` returns."""

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the bundle that computed the embeddings."""
        return self._file.memory.fingerprint

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self._file.memory.dim

    @property
    def classes(self) -> Mapping[str, ClassShots]:
        """An immutable snapshot of all classes, in order of first enrolment."""
        return self._file.memory.classes

    @property
    def keep_crops(self) -> bool:
        """Whether crops are stored with shots. The setting is in the file, so it holds for every program."""
        return self._file.memory.keep_crops

    def set_keep_crops(self, keep: bool) -> None:
        """Set whether crops are stored with new shots. Stored crops stay. This cannot be undone by `undo`."""
        if keep != self.keep_crops:
            self._file.change(operations.set_setting, KEEP_CROPS, int(keep))

    @property
    def stranger_rate(self) -> float | None:
        """The share of strangers, 0..1, that recognizers of this gallery accept; None if it was never set."""
        return self._file.memory.stranger_rate

    def set_stranger_rate(self, rate: float) -> None:
        """Set that share. `undo` does not change it. Raises OptionError, GalleryUnwritable."""
        if not 0 <= rate <= 1:
            raise OptionError(f"the stranger rate must be in 0..1, but got {rate}")
        self._file.change(operations.set_setting, STRANGER_RATE, round(rate * 1e6))

    @property
    def precision(self) -> str | None:
        """The precision, "fp32", "fp16" or "int8", of the model that computed the embeddings; None if not known."""
        return self._file.memory.precision

    def set_precision(self, precision: str) -> None:
        """Set that precision; another name than these is stored as not known. `undo` does not change it."""
        if precision != self.precision:
            self._file.change(operations.set_setting, PRECISION, BITS.get(precision, 0))

    def add(self, label: str, shots: Sequence[NewShot], *, negative: bool = False) -> list[int]:
        """Add shots to a class, which is created if it is new. They are durable when this returns.

        Args:
            label: Name of the class.
            shots: At least one shot.
            negative: Whether they are examples of what the class is not; then the class must exist.

        Returns:
            The ids of the shots.

        Raises:
            InvalidLabel: The label is not allowed.
            UnknownLabel: A negative example needs its class to exist.
            InvalidShot: A shot does not fit this gallery.
            GalleryUnwritable: The system refused. In all these cases nothing was changed.
        """
        label, count = normalised(label), operations.counted(len(shots))
        what = f"marked {count} as not {label!r}" if negative else f"enrolled {count} of {label!r}"
        return self.add_all([(label, shot, negative) for shot in shots], what)

    def add_all(self, batch: Iterable[tuple[str, NewShot, bool]], what: str) -> list[int]:
        """Add (label, shot, negative) of many classes as one operation, described by `what`. See `add`."""
        return self._file.change(operations.enroll, batch, what)

    def forget(self, label: str, *, now: bool = False) -> int:
        """Forget a class; return its number of shots. Raises UnknownLabel.

        This can be undone for `undo_minutes`, and until 100 more operations were made. Then the class, its shots and
        its crops are deleted for good, see `purge`.

        Args:
            label: The class.
            now: Whether to delete it for good at once. Neither this nor earlier operations can be undone then.
        """
        count = self._file.change(operations.forget, label)
        if now:
            self._file.purge(now=True)
        return count

    def rename(self, label: str, to: str) -> None:
        """Give a class another label. Raises UnknownLabel, or InvalidLabel if the new one is taken or not allowed."""
        self._file.change(operations.rename, label, to)

    def merge(self, label: str, into: str) -> int:
        """Move all shots and negative examples of a class to another; return how many shots. Raises UnknownLabel."""
        return self._file.change(operations.merge, label, into)

    def remove_shot(self, shot_id: int) -> str:
        """Remove a shot; return its class. Raises InvalidShot for an unknown shot or the last one of a class."""
        return self._file.change(operations.remove_shot, int(shot_id))

    def move_shot(self, shot_id: int, to: str) -> int:
        """Move a shot to another class, as one change; it gets a new id, which is returned.

        Raises:
            UnknownLabel: There is no such class.
            InvalidShot: The shot is unknown or damaged, of that class already, or the last one of its class.
        """
        old, to = self.shot(shot_id), normalised(to)
        if old.label == to:
            raise InvalidShot(f"A shot must be moved to another class, but {shot_id} is of {to!r} already.")
        copy = NewShot(old.embedding, self.crop(shot_id), old.burst, old.quality, old.source, old.time_s)
        what = f"moved shot {shot_id} of {old.label!r} to {to!r}"
        return self._file.change(operations.enroll, [(to, copy, False)], what, moved=int(shot_id))[0]

    def undo(self, expected: int | None = None) -> str:
        """Take back the newest change. Can be repeated 100 times.

        Args:
            expected: The id of the change that the caller means; None means the newest, whichever it is.

        Returns:
            What was taken back, in words.

        Raises:
            NothingToUndo: No change is left.
            StaleOperation: `expected` is not the newest change; nothing was changed.
        """
        return self._file.undo(expected)

    def redo(self, expected: int | None = None) -> str:
        """Make the change again that `undo` took back last. A new change clears what can be redone, as closing does.

        Args and errors are those of `undo`.
        """
        return self._file.change(operations.redo, expected)

    @property
    def last_operation(self) -> int | None:
        """The id of the newest change that the calling thread made through this object; None before the first."""
        return self._file.last_operation

    def replace_embeddings(
        self,
        embeddings: Mapping[int, NDArray[np.float32]],
        *,
        fingerprint: str,
        dim: int,
        precision: str | None = None,
    ) -> None:
        """Replace all embeddings with those of another model, in one transaction.

        Earlier operations can still be undone, but this change cannot.

        Args:
            embeddings: Shot id -> `float32 [dim]`, for each of `stored_ids`.
            fingerprint: Of the bundle that computed them.
            dim: Length of an embedding.
            precision: Of the model that computed them; None if it is not known.

        Raises:
            InvalidShot: An embedding is missing or does not fit; nothing was changed.
        """
        self._file.change(operations.replace_embeddings, embeddings, fingerprint, dim, BITS.get(precision or "", 0))

    def history(self) -> list[Operation]:
        """Return the changes that `undo` would take back, newest first."""
        with self._file.reading() as db:
            return _operations(read_operations(db))

    def undone(self) -> list[Operation]:
        """Return the changes that `redo` would make again, the next one first."""
        with self._file.reading() as db:
            return _operations(redo_stack.undone(db))

    def crop(self, shot_id: int, *, forgotten: bool = False) -> bytes | None:
        """Return the JPEG of a shot; None if it has none.

        Args:
            shot_id: The shot.
            forgotten: Whether the shot may be forgotten or removed, as long as undo can restore it.

        Raises:
            InvalidShot: There is no such shot.
            GalleryCorrupt: The crop is damaged.
        """
        with self._file.up_to_date() as (db, memory):
            joined = "SELECT crop_digest, jpeg, class FROM shots LEFT JOIN crops ON shot = id WHERE id = ?"
            row = db.execute(joined, (int(shot_id),)).fetchone()
            if row is None or not (forgotten or self._is_current(db, memory, int(shot_id), row[2])):
                raise no_shot(shot_id)
        digest, jpeg, _ = row
        if digest is None and jpeg is None:
            return None
        if not isinstance(jpeg, bytes) or sha256(jpeg).digest() != digest:
            raise GalleryCorrupt(
                f"The crop of shot {shot_id} must be what was enrolled, but its digest does not match. Enrol it again."
            )
        return jpeg

    def shot(self, shot_id: int) -> ShotRecord:
        """Return one shot. Raises InvalidShot if it is unknown, forgotten or damaged."""
        with self._file.up_to_date() as (db, memory):
            row = shot_row(db, int(shot_id))  # SQLite does not accept numpy's integers
            labels = {id_: label for label, id_ in memory.ids.items()}
            if shot_is_sound(row, 4 * memory.dim) and self._is_current(db, memory, row[0], row[1]):
                return shot_record(row, labels[memory.roots[row[1]] or 0])
        raise no_shot(shot_id)

    def _is_current(self, db: sqlite3.Connection, memory: Memory, shot_id: int, owner: int) -> bool:
        """Return whether a shot counts for a class: neither it nor the class was removed."""
        return memory.roots.get(owner) in memory.ids.values() and read_marks(db).get(shot_id, True)

    def records(self, label: str) -> list[ShotRecord]:
        """Return the undamaged shots and negative examples of a class, in order of enrolment. Raises UnknownLabel."""
        with self._file.up_to_date() as (db, memory):
            id_ = operations.class_id(memory, label)
            marks, size = read_marks(db), 4 * memory.dim
            rows = [row for row in rows_of_class(db, memory.roots, id_) if marks.get(row[0], True)]
            return [shot_record(row, normalised(label)) for row in rows if shot_is_sound(row, size)]

    def stored_ids(self) -> list[int]:
        """Return the ids of all undamaged shots and negative examples, including forgotten ones, in ascending order."""
        return sorted(self.stored_embeddings())

    def stored_embeddings(self) -> dict[int, NDArray[np.float32]]:
        """Return the embedding `float32 [dim]` of each of `stored_ids`."""
        with self._file.up_to_date() as (db, memory):
            rows = [row for row in every_shot(db) if shot_is_sound(row, 4 * memory.dim)]
            return {row[0]: np.frombuffer(row[-2], np.dtype("<f4")) for row in rows}

    @property
    def unknown_frames(self) -> NDArray[np.float32]:
        """Frames of which a person said that they show nothing taught, float32 [S, dim], read-only."""
        return self._file.memory.unknown_frames

    def add_unknown_frames(self, embeddings: NDArray[np.float32]) -> None:
        """Add such frames, float32 [N, dim]; the newest 200 are kept. `undo` does not remove them.

        Raises:
            InvalidShot, GalleryUnwritable: Nothing was changed.
        """
        self._file.change(operations.add_unknown_frames, embeddings)

    def __enter__(self) -> SqliteGallery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _operations(rows: Iterable[OperationRow]) -> list[Operation]:
    return [Operation(row.id, row.time_s, row.what.decode()) for row in rows]
