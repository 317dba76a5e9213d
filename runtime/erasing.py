"""Removes from a SQLite file what is left of deleted rows.

With `secure_delete`, SQLite overwrites a row when it is deleted. But when SQLite distributes rows among pages anew,
copies of the rows that it moves can stay in the gap of a page, between the list of its rows and the rows themselves,
and they are still there after the rows are deleted. SQLite never reads a gap. So it can be overwritten while SQLite
has the file open, and a power loss in between leaves a sound file (SQLite assumes, too, that a write changes no byte
outside its range).

The format is described in https://www.sqlite.org/fileformat2.html#b_tree_pages.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path
from typing import ClassVar
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

_HEADERS = {2: 12, 5: 12, 10: 8, 13: 8}  # the first byte of a page with rows -> the length of its header
_AT_ONCE = 1 << 22  # bytes; a multiple of every page size


class Eraser:
    """Removes deleted data for one connection. Close it after the connection, not before.

    Args:
        db: The connection, in WAL mode and outside a transaction.
        path: Its file; None if it is in memory.
    """

    def __init__(self, db: sqlite3.Connection, path: Path | None) -> None:
        self._db, self._path = db, path
        self._bytes: _Bytes | None = None

    def erase(self) -> bool:
        """Remove deleted data from the file, from its write-ahead log (WAL) and from SQLite's cache.

        Returns:
            False if that is impossible now, because another program is writing, or reads an older state.

        Raises:
            sqlite3.DatabaseError, OSError: SQLite or the system refused.
        """
        (patience_ms,) = self._db.execute("PRAGMA busy_timeout").fetchone()
        self._db.execute("PRAGMA busy_timeout = 0")
        try:
            return self._empty_wal() and (self._path is None or self._erase_gaps(self._path))
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {patience_ms}")
            self._db.execute("PRAGMA shrink_memory")  # cached pages have the old gaps

    def close(self) -> None:
        """Close the file, unless another connection of this process needs it."""
        self._bytes = None

    def _empty_wal(self) -> bool:
        (busy, *_) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def _erase_gaps(self, path: Path) -> bool:
        self._bytes = self._bytes or _Bytes.of(path)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            if path.with_name(f"{path.name}-wal").stat().st_size:
                return False  # another program wrote since the WAL was emptied
            if self._bytes.erase_gaps():
                # After a commit, other programs read the pages again, and so cannot write back what was erased.
                (version,) = self._db.execute("PRAGMA user_version").fetchone()
                self._db.execute(f"PRAGMA user_version = {version}")
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        self._empty_wal()
        return True


def erase_gaps(path: Path) -> None:
    """Overwrite the gaps of a SQLite file that no connection of this process has open. Raises OSError."""
    _Bytes(path).erase_gaps()


class _Bytes:
    """A file as bytes.

    There is one descriptor for each file, because the system drops all locks of a process on a file, with those of
    SQLite, when the process closes any descriptor of it (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    """

    _known: ClassVar[WeakValueDictionary[tuple[int, int], _Bytes]] = WeakValueDictionary()
    _lock: ClassVar[threading.Lock] = threading.Lock()

    @classmethod
    def of(cls, path: Path) -> _Bytes:
        """Return the file at this path, opened if this process does not have it open."""
        found = path.stat()
        with cls._lock:
            key = found.st_dev, found.st_ino
            return cls._known.get(key) or cls._known.setdefault(key, cls(path))

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b", buffering=0)

    def __del__(self) -> None:
        self._file.close()

    def erase_gaps(self) -> bool:
        """Overwrite the gap of every page; return whether there was anything in one. Raises OSError."""
        file, found = self._file, False
        file.seek(16)
        size = int.from_bytes(file.read(2), "big")
        size = 1 << 16 if size == 1 else size
        start = file.seek(0)
        while len(data := file.read(_AT_ONCE)) >= size:
            pages = np.frombuffer(data, np.uint8)[: len(data) // size * size].reshape(-1, size)
            for i in np.flatnonzero(np.isin(pages[:, 0], list(_HEADERS))):
                first, end = _gap(pages[i])
                if pages[i, first:end].any():
                    file.seek(start + i * size + first)
                    file.write(bytes(end - first))
                    found = True
            start = file.seek(start + pages.size)
        if found:
            os.fsync(file.fileno())
        return found


def _gap(page: NDArray[np.uint8]) -> tuple[int, int]:
    """Return where the gap of a page with rows starts and ends; of a damaged page, no byte of a row that it lists."""
    rows, content = page[3:7].view(">u2").tolist()
    header = _HEADERS[int(page[0])]
    first = min(header + 2 * rows, len(page))
    listed = page[header:first].view(">u2")
    return first, min([content or len(page), *listed.tolist()])
