"""Complete, verified copies of a gallery, and going back to one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from shlex import quote

from runtime.erasing import erase_gaps
from runtime.errors import GalleryCorrupt, GalleryError, GalleryUnwritable
from runtime.gallery.base import Damaged
from runtime.gallery.database import blank, connect, explained
from runtime.gallery.memory import load
from runtime.gallery.recovery import files, totals
from runtime.gallery.recovery.check import examined
from runtime.gallery.recovery.totals import Totals
from runtime.gallery.retention import Ages, Doomed, doomed, due


def write_backup(source: sqlite3.Connection, target: Path, owner: Path | None) -> None:
    """Write a copy of a gallery that is in use; it replaces an older file only when it is complete and verified.

    The copy holds neither forgotten classes nor what undo would take back.

    Raises:
        GalleryCorrupt: The gallery is damaged. An older backup is unchanged.
        GalleryUnwritable: The system refused. An older backup is unchanged.
    """
    target = target.absolute()
    if owner is not None and target == owner.absolute():
        raise GalleryUnwritable(f"A backup must be another file than the gallery, but both are {target}. Name another.")
    with _part(target) as part:
        _copy(source, part, owner, without_history=True)
        part.replace(target)
        files.sync(target.parent)


def restore_gallery(path: Path, source: Path) -> Path | None:
    """Put a copy of a backup in the place of a gallery; return where the old gallery is kept, None if there was none.

    Raises:
        GalleryMissing, GalleryCorrupt: The backup is absent or damaged; nothing was changed.
        GalleryUnwritable: Another program has the gallery open, or the system refused; nothing was changed.
    """
    path = path.absolute()
    with closing(connect(source, new=None, readonly=True, timeout_s=5.0)) as db, _part(path) as part:
        _copy(db, part, source, without_history=False)
        if path.exists():
            with files.alone(path):
                return files.replace(path, part)
        for name in (f"{path.name}-wal", f"{path.name}-shm"):
            path.with_name(name).unlink(missing_ok=True)
        part.replace(path)
        files.sync(path.parent)
    return None


def delete_from_backups(paths: Iterable[Path], source: sqlite3.Connection, gone: Doomed) -> list[str]:
    """Delete what a purge will delete from backups too; return those that exist but could not be opened."""
    shots = [
        source.execute("SELECT id, burst, time_s FROM shots WHERE id = ?", (id_,)).fetchone() for id_ in gone.shots
    ]
    unreached = []
    for path in paths:
        try:
            if path.is_file():
                with closing(connect(path, new=None, readonly=False, timeout_s=5.0)) as db, explained(path, "write"):
                    _delete(db, [row for row in shots if row], gone.classes)
                    db.execute("PRAGMA journal_mode = DELETE").fetchone()
                erase_gaps(path)
        except (GalleryError, OSError):
            unreached.append(str(path))
    return unreached


def _delete(db: sqlite3.Connection, shots: list[tuple[object, ...]], classes: Iterable[int]) -> None:
    follow = Totals(db)
    db.execute("BEGIN IMMEDIATE")
    db.executemany("DELETE FROM shots WHERE id = ? AND burst = CAST(? AS TEXT) AND time_s = ?", shots)
    empty = "DELETE FROM classes WHERE id = ? AND NOT EXISTS (SELECT 1 FROM shots WHERE class = classes.id)"
    db.executemany(empty, [(id_,) for id_ in classes])
    follow.write(db)
    db.execute("COMMIT")


def _copy(source: sqlite3.Connection, part: Path, origin: Path | None, *, without_history: bool) -> None:
    with explained(part, "write the copy"), closing(blank(str(part))) as db:
        source.backup(db)
        if db.execute("PRAGMA journal_mode = DELETE").fetchone() != (b"delete",):
            raise GalleryUnwritable(f"{part} must be writable to hold the copy, but it is not. Choose another place.")
        _require_sound(db, origin)
        follow = Totals(db)
        db.execute("BEGIN IMMEDIATE")
        if without_history:
            newest = due(db, Ages(), 0)
            gone = Doomed(0, (), ()) if newest is None else doomed(db, newest)
            db.executemany("DELETE FROM shots WHERE id = ?", [(shot,) for shot in gone.shots])
            db.executemany("DELETE FROM classes WHERE id = ?", [(id_,) for id_ in reversed(gone.classes)])
            db.execute("DELETE FROM operations")
            db.execute("DELETE FROM backups")
        follow.write(db)
        totals.write_state(db)  # a WAL of another copy does not belong to this one
        db.execute("COMMIT")
        _require_sound(db, origin)
    erase_gaps(part)
    files.sync(part)


def _require_sound(db: sqlite3.Connection, path: Path | None) -> None:
    with explained(path, "read it"):
        db.execute("BEGIN")
        found: tuple[Damaged, ...] = examined(db, load(db)).damaged
        db.execute("ROLLBACK")
    if found:
        raise GalleryCorrupt(
            f"A gallery must be undamaged to be copied, but {len(found)} damaged places were found: {found[0].what}. "
            f"Run: edgefs gallery repair --gallery {quote(str(path))}. Nothing was changed."
        )


@contextmanager
def _part(target: Path) -> Iterator[Path]:
    """Give the name of a file beside the target to write first; it is gone afterwards."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    names = [part, *(part.with_name(part.name + end) for end in ("-journal", "-wal", "-shm"))]
    try:
        for name in names:
            name.unlink(missing_ok=True)
        yield part
    except OSError as error:
        if isinstance(error, GalleryError):
            raise
        raise GalleryUnwritable(
            f"{target} must be writable to hold the copy, but: {error.strerror or error}. Choose another place."
        ) from error
    finally:
        for name in names:
            name.unlink(missing_ok=True)
