"""A gallery in one SQLite file, with everything that recognition needs in memory.

Each change is one transaction, which also stores what undoes it. The state in memory is replaced only after the commit.
Several threads may share a gallery, and several processes may share a file: each write first reads what others changed,
and `refresh` does the same without writing.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from shlex import quote
from types import TracebackType
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from runtime.errors import GalleryCorrupt, GalleryMismatch, GalleryUnwritable, OptionError
from runtime.gallery import operations, redo_stack
from runtime.gallery.base import ClassShots, Damaged, NewShot, Operation, ShotRecord
from runtime.gallery.database import explained
from runtime.gallery.labels import normalised
from runtime.gallery.memory import Memory, census, every_shot, load, rows_of_class, shot_row
from runtime.gallery.records import (
    next_id,
    read_header,
    read_marks,
    read_operations,
    shot_is_sound,
)
from runtime.gallery.shots import no_shot, shot_record

P = ParamSpec("P")
T = TypeVar("T")


class SqliteGallery:
    """The gallery that `open_gallery` returns."""

    def __init__(self, db: sqlite3.Connection, path: Path | None, fingerprint: str | None, dim: int | None) -> None:
        self._path, self._db, self._closed = path, db, False
        self._lock = threading.RLock()
        self._made = threading.local()
        self._pinned = fingerprint is not None
        redo_stack.create(db)
        with self._transaction("read it"):
            self._require(fingerprint, dim)
            self._memory = load(db)
            self._version = self._data_version()

    @property
    def path(self) -> Path | None:
        """Path of the file; None if the gallery is in memory."""
        return self._path

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the bundle that computed the embeddings."""
        return self._memory.fingerprint

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self._memory.dim

    @property
    def classes(self) -> Mapping[str, ClassShots]:
        """An immutable snapshot of all classes, in order of first enrolment."""
        return self._memory.classes

    @property
    def keep_crops(self) -> bool:
        """Whether crops are stored with shots. The setting is in the file, so it holds for every program."""
        return self._memory.keep_crops

    def set_keep_crops(self, keep: bool) -> None:
        """Set whether crops are stored with new shots. Stored crops stay. This cannot be undone by `undo`."""
        if keep != self.keep_crops:
            self._change(operations.set_keep_crops, keep)

    @property
    def stranger_rate(self) -> float | None:
        """The share of strangers, 0..1, that recognizers of this gallery accept; None if it was never set."""
        return self._memory.stranger_rate

    def set_stranger_rate(self, rate: float) -> None:
        """Set that share. This is no operation. Raises OptionError, GalleryUnwritable."""
        if not 0 <= rate <= 1:
            raise OptionError(f"the stranger rate must be in 0..1, but got {rate}")
        self._change(operations.set_stranger_rate, rate)

    @property
    def damaged(self) -> tuple[Damaged, ...]:
        """Damaged records, which are not used. Forgetting their class removes them, as does an export and import."""
        return self._memory.damaged

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
        return self._change(operations.enroll, batch, what)

    def forget(self, label: str) -> int:
        """Forget a class; return its number of shots. Raises UnknownLabel.

        This can be undone until 100 more operations were made. Then the class, its shots and its crops are deleted for
        good, and their bytes in the file are overwritten.
        """
        return self._change(operations.forget, label)

    def rename(self, label: str, to: str) -> None:
        """Give a class another label. Raises UnknownLabel, or InvalidLabel if the new one is taken or not allowed."""
        self._change(operations.rename, label, to)

    def merge(self, label: str, into: str) -> int:
        """Move all shots and negative examples of a class to another; return how many shots. Raises UnknownLabel."""
        return self._change(operations.merge, label, into)

    def remove_shot(self, shot_id: int) -> str:
        """Remove a shot; return its class. Raises InvalidShot for an unknown shot or the last one of a class."""
        return self._change(operations.remove_shot, int(shot_id))

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
        what = self._change(operations.undo, expected)
        self._wipe()
        return what

    def redo(self, expected: int | None = None) -> str:
        """Make the change again that `undo` took back last. A new change clears what can be redone, as closing does.

        Args and errors are those of `undo`.
        """
        return self._change(operations.redo, expected)

    @property
    def last_operation(self) -> int | None:
        """The id of the newest change that the calling thread made through this object; None before the first."""
        return getattr(self._made, "operation", None)

    def replace_embeddings(self, embeddings: Mapping[int, NDArray[np.float32]], *, fingerprint: str, dim: int) -> None:
        """Replace all embeddings with those of another model, in one transaction.

        Earlier operations can still be undone, but this change cannot.

        Args:
            embeddings: Shot id -> `float32 [dim]`, for each of `stored_ids`.
            fingerprint: Of the bundle that computed them.
            dim: Length of an embedding.

        Raises:
            InvalidShot: An embedding is missing or does not fit; nothing was changed.
        """
        self._change(operations.replace_embeddings, embeddings, fingerprint, dim)

    def history(self) -> list[Operation]:
        """Return the changes that `undo` would take back, newest first."""
        with self._transaction("read it"):
            return [Operation(row.id, row.time_s, row.what.decode()) for row in read_operations(self._db)]

    def undone(self) -> list[Operation]:
        """Return the changes that `redo` would make again, the next one first."""
        with self._transaction("read it"):
            return [Operation(row.id, row.time_s, row.what.decode()) for row in redo_stack.undone(self._db)]

    def crop(self, shot_id: int) -> bytes | None:
        """Return the JPEG of any shot, even if forgotten; None if it has none. Raises InvalidShot or GalleryCorrupt."""
        with self._transaction("read it"):
            row = self._db.execute(
                "SELECT crop_digest, jpeg FROM shots LEFT JOIN crops ON shot = id WHERE id = ?", (int(shot_id),)
            ).fetchone()
        if row is None:
            raise no_shot(shot_id)
        digest, jpeg = row
        if digest is None and jpeg is None:
            return None
        if not isinstance(jpeg, bytes) or sha256(jpeg).digest() != digest:
            raise GalleryCorrupt(
                f"The crop of shot {shot_id} must be what was enrolled, but its digest does not match. Enrol it again."
            )
        return jpeg

    def shot(self, shot_id: int) -> ShotRecord:
        """Return one shot. Raises InvalidShot if it is unknown, forgotten or damaged."""
        with self._up_to_date() as memory:
            labels = {id_: label for label, id_ in memory.ids.items()}
            row = shot_row(self._db, int(shot_id))  # SQLite does not accept numpy's integers
            root = memory.roots.get(row[1])
            removed = not read_marks(self._db).get(row[0], True)
            if root in labels and not removed and shot_is_sound(row, 4 * memory.dim):
                return shot_record(row, labels[root])
        raise no_shot(shot_id)

    def records(self, label: str) -> list[ShotRecord]:
        """Return the undamaged shots and negative examples of a class, in order of enrolment. Raises UnknownLabel."""
        with self._up_to_date() as memory:
            id_ = operations.class_id(memory, label)
            marks, size = read_marks(self._db), 4 * memory.dim
            rows = [row for row in rows_of_class(self._db, memory.roots, id_) if marks.get(row[0], True)]
            return [shot_record(row, normalised(label)) for row in rows if shot_is_sound(row, size)]

    def stored_ids(self) -> list[int]:
        """Return the ids of all undamaged shots and negative examples, including forgotten ones, in ascending order."""
        return sorted(self.stored_embeddings())

    def stored_embeddings(self) -> dict[int, NDArray[np.float32]]:
        """Return the embedding `float32 [dim]` of each of `stored_ids`."""
        with self._up_to_date() as memory:
            rows = [row for row in every_shot(self._db) if shot_is_sound(row, 4 * memory.dim)]
            return {row[0]: np.frombuffer(row[-2], np.dtype("<f4")) for row in rows}

    @property
    def unknown_frames(self) -> NDArray[np.float32]:
        """Frames of which a person said that they show nothing taught, float32 [S, dim], read-only."""
        return self._memory.unknown_frames

    def add_unknown_frames(self, embeddings: NDArray[np.float32]) -> None:
        """Add such frames, float32 [N, dim]; the newest 200 are kept. This is no operation.

        Raises:
            InvalidShot, GalleryUnwritable: Nothing was changed.
        """
        self._change(operations.add_unknown_frames, embeddings)

    def refresh(self) -> bool:
        """Read what other processes changed; return whether they changed anything. Raises GalleryMismatch."""
        with self._transaction("read it"):
            return self._catch_up()

    def close(self) -> None:
        """Close the file. `classes` can still be read."""
        with self._lock:
            self._closed = True
            self._db.close()

    def __enter__(self) -> SqliteGallery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _change(
        self,
        work: Callable[Concatenate[sqlite3.Connection, Memory, P], tuple[T, Memory]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run one operation in a transaction, then replace the state in memory."""
        with self._lock:
            with self._transaction("write to it", write=True):
                self._catch_up()
                operation = next_id(self._db, "operations")
                result, memory = work(self._db, self._memory, *args, **kwargs)
                if next_id(self._db, "operations") > operation:
                    self._made.operation = operation
                redo_stack.clear_stale(self._db)
                purged = operations.purge(self._db)
                version, self._version = (
                    self._version,
                    -1,
                )  # so that everything is read again if Ctrl-C comes between commit and assignment
            self._memory, self._version = memory, version
            if purged:
                self._wipe()
        return result

    @contextmanager
    def _transaction(self, doing: str, *, write: bool = False) -> Iterator[None]:
        with self._lock, explained(self._path, doing):
            if self._closed:
                raise GalleryUnwritable(f"The gallery {self._path} must be open, but it was closed. Open it again.")
            self._db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield
                if write:
                    self._db.execute("COMMIT")
            finally:
                # Reads are rolled back too: COMMIT would repeat the error of a damaged page that was already handled.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    @contextmanager
    def _up_to_date(self) -> Iterator[Memory]:
        with self._transaction("read it"):
            self._catch_up()
            yield self._memory

    def _catch_up(self) -> bool:
        """Read what another process changed, within a transaction."""
        version = self._data_version()
        if version == self._version:
            return False
        if self._pinned:
            self._require(self.fingerprint, self.dim)
        self._memory = load(self._db, self._memory)
        self._version = version
        return True

    def _data_version(self) -> int:
        (version,) = self._db.execute("PRAGMA data_version").fetchone()  # it changes when another connection commits
        return int(version)

    def _require(self, fingerprint: str | None, dim: int | None) -> None:
        """Raise GalleryMismatch unless the file was filled by this model."""
        found, found_dim = read_header(self._db)
        if (fingerprint or found, dim or found_dim) != (found, found_dim):
            info = census(self._db)
            raise GalleryMismatch(
                f"{self._path} must be filled by the model {(fingerprint or found)[:12]} (dimension {dim}), but its "
                f"{info.classes} classes with {info.shots} shots were filled by {found[:12]} (dimension {found_dim}). "
                "To compute them again from their crops, open it with `Recognizer(bundle, gallery=..., reembed=True)` "
                f"or run: edgefs gallery reembed --gallery {quote(str(self._path))} --bundle BUNDLE"
            )

    def _wipe(self) -> None:
        """Remove deleted data from the WAL too. The change itself is durable already, so a failure is no error."""
        with self._lock, suppress(sqlite3.DatabaseError):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
