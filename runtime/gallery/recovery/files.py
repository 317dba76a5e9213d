"""The files of a gallery as a whole: which there are, whether another program uses them, and how one is replaced.

A gallery `shop.db` may have these files beside it: `shop.db-wal` and `shop.db-shm` (SQLite), `shop.db.before-*.npz`
(the embeddings of an earlier model), `shop.db.set-aside-*` (what a repair or a restore replaced), and `shop.db.reserve`
(space for a full disk).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from runtime.errors import GalleryUnwritable
from runtime.gallery.records import read_total
from runtime.gallery.recovery.totals import ID_BYTES, STATE
from runtime.gallery.recovery.wal import belongs, wal_path

_LOCKED_BY_READERS = 0x40000002, 510  # SQLite's lock bytes: every open connection in WAL mode holds a shared lock there


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other programs from opening a gallery. Raises GalleryUnwritable if one has it open."""
    with path.open("r+b") as file:
        first, length = _LOCKED_BY_READERS
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, length, first)
        except OSError as error:
            raise GalleryUnwritable(
                f"{path} must not be in use to be repaired or replaced, but another program has it open. "
                "Close that program and try again."
            ) from error
        yield


def in_use(path: Path) -> bool:
    """Return whether another process has the gallery open."""
    try:
        with alone(path):
            return False
    except GalleryUnwritable:
        return True


def aside(path: Path, kind: str = "set-aside") -> Path:
    """Return a free name for a copy of a gallery."""
    number = 1
    while (free := path.with_name(f"{path.name}.{kind}-{number}")).exists():
        number += 1
    return free


def set_aside_files(path: Path) -> list[Path]:
    """Return everything that was set aside for a gallery."""
    return sorted(path.parent.glob(f"{escaped(path.name)}.set-aside-*"))


def replace(path: Path, new: Path) -> Path:
    """Put a complete, closed gallery file in the place of another, atomically; return where the old one is kept.

    If the process is killed, the place has the old or the new gallery. The WAL of the old one, which may be left then,
    does not belong to the new one and is recognised (`remove_foreign_wal`).
    """
    kept = aside(path)
    wal = wal_path(path)
    sync(new)
    if wal.exists():
        os.link(wal, wal_path(kept))
    os.link(path, kept)
    new.replace(path)
    sync(path.parent)
    for name in (wal, path.with_name(f"{path.name}-shm")):
        name.unlink(missing_ok=True)
    sync(path.parent)
    return kept


def remove_foreign_wal(path: Path) -> Path | None:
    """Set a WAL aside that does not belong to the gallery beside it; return where it is kept, None if it belongs.

    Nothing is done while another process has the gallery open, because that process has checked it.
    """
    wal = wal_path(path)
    if not path.is_file() or not wal.is_file() or wal.stat().st_size == 0 or not os.access(path, os.W_OK):
        return None
    state = _state(path)
    if state is None or belongs(wal, state) or in_use(path) or belongs(wal, _state(path) or state):
        return None
    kept = aside(path)
    wal.rename(kept)
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    sync(path.parent)
    return kept


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power loss."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _state(path: Path) -> bytes | None:
    """Return the state id in the file itself, without its WAL; None if it cannot be read."""
    uri = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as db:
            db.text_factory = bytes
            stored = read_total(db, STATE)
    except sqlite3.DatabaseError:
        return None
    return None if stored is None else stored[1][-ID_BYTES:]


def escaped(name: str) -> str:
    """Return the name with the characters escaped that have a meaning in `glob`."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)
