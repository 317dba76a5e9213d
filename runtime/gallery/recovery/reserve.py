"""Space that is kept free beside a gallery, its ballast, so that forgetting and undo also work on a full disk.

The file `shop.db.reserve` holds nothing. When a change that deletes something finds the disk full, the file gives up
its space, the change is made, and the space is taken back before another program uses it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

RESERVE_BYTES = 4 << 20  # a change is written to SQLite's log first; this is enough to undo about 100 shots with crops
STEP = 128 << 10


class Reserve:
    """The reserved space of a gallery. Without a path nothing is reserved, and nothing is ever missing."""

    def __init__(self, gallery: Path | None) -> None:
        self._file = None if gallery is None else gallery.with_name(f"{gallery.name}.reserve")

    @property
    def size(self) -> int:
        """How many bytes are reserved."""
        try:
            return 0 if self._file is None else self._file.stat().st_size
        except OSError:
            return 0

    @property
    def scarce(self) -> bool:
        """Whether the disk is full, or nearly: there is not as much space as should be kept, or no other."""
        return self._file is not None and (self.size < RESERVE_BYTES or _free(self._file.parent) < STEP)

    def keep(self) -> None:
        """Reserve what is missing, but at most half of what is free."""
        size = self.size
        if self._file is not None and size < RESERVE_BYTES:
            self._take(min(RESERVE_BYTES, size + _free(self._file.parent) // 2))

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Give the space up for a moment."""
        size = self.size
        if self._file is not None:
            with suppress(OSError):
                self._file.unlink(missing_ok=True)
        try:
            yield
        finally:
            if self._file is not None:
                self._take(min(size, _free(self._file.parent)))

    def can_grow(self) -> bool:
        """Try whether the system gives any more space."""
        before = self.size
        self._take(before + STEP)
        grown = self.size > before
        if self._file is not None and grown:
            os.truncate(self._file, before)
        return grown

    def _take(self, size: int) -> None:
        """Let the file grow to this size, or to somewhat less if the system refuses."""
        before = self.size
        if self._file is None:
            return
        with suppress(OSError), self._file.open("ab") as file:
            for smaller in range(size, before, -STEP):
                try:
                    os.posix_fallocate(file.fileno(), 0, smaller)
                    return
                except OSError:
                    file.truncate(before)


def _free(folder: Path) -> int:
    """Return how many bytes are free for this user."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return 0
    return disk.f_frsize * (disk.f_bfree if os.geteuid() == 0 else disk.f_bavail)
