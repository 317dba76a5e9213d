"""The methods of a gallery that concern the file as a whole: its state, repair, backups and final deletion."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from runtime.errors import OptionError
from runtime.gallery import operations
from runtime.gallery.base import Damaged, Repair, State
from runtime.gallery.retention import Purged
from runtime.gallery.transactions import GalleryFile, P, T, Work

MAX_UNDO_MINUTES = 60 * 24 * 366


class GalleryMaintenance:
    """The part of `SqliteGallery` that neither knows classes nor shots."""

    def __init__(
        self,
        db: sqlite3.Connection,
        path: Path | None,
        fingerprint: str | None,
        dim: int | None,
        rescued: tuple[Damaged, ...] = (),
    ) -> None:
        self._file = GalleryFile(db, path, fingerprint, dim, rescued)

    def change(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an operation of another room, such as those of `runtime/fleet/arranging.py`, in one transaction.

        Raises:
            GalleryUnwritable: The system refused; nothing was changed.
        """
        return self._file.change(work, *args, **kwargs)

    def wipe(self) -> None:
        """Remove the bytes of deleted records from the write-ahead log too, at once or as soon as it is possible."""
        self._file.wipe()

    @property
    def path(self) -> Path | None:
        """Path of the file; None if the gallery is in memory."""
        return self._file.path

    @property
    def shared(self) -> None:
        """None: the devices of a site do not share a file, see `FleetGallery`."""

    @property
    def damaged(self) -> tuple[Damaged, ...]:
        """Damaged records, which are not used. While there are any, nothing can be written: see `repair`."""
        return self._file.memory.damaged

    def purge(self, *, now: bool = False) -> Purged:
        """Delete for good what was forgotten or removed more than `undo_minutes` ago, and overwrite its bytes.

        Opening, closing, `refresh` and every change do the same.

        Args:
            now: Whether to delete everything that was forgotten or removed, and what could be redone.

        Raises:
            GalleryUnwritable: Nothing was deleted.
        """
        return self._file.purge(now=now)

    @property
    def state(self) -> State:
        """Whether the gallery can be changed, and why not.

        "damaged" means that records were lost or cannot be verified: the rest can be read, and nothing can be written
        before `repair`. "disk failing" and "second writer" are the reason why the last change failed. "disk full" may
        also be said before one fails: less space is left than is kept for forgetting.
        """
        return self._file.state

    def check(self) -> tuple[Damaged, ...]:
        """Read everything, including all crops, and return what is damaged; empty if nothing is.

        Opening does the same without the crops, and without SQLite's own check if the file is larger than 32 MiB.
        """
        return self._file.check()

    def repair(self) -> Repair:
        """Rebuild a damaged gallery from the records that can be verified. An undamaged gallery is not changed.

        Raises:
            GalleryCorrupt: It cannot be known which model filled the gallery.
            GalleryUnwritable: Another program has the gallery open, or the system refused; nothing was changed.
        """
        return self._file.repair()

    def backup(self, path: str | Path) -> None:
        """Write a complete and verified copy, which `restore_gallery` puts back, while the gallery is in use.

        It holds no forgotten classes and nothing for undo. `purge` also deletes from the backups that can be reached.

        Raises:
            GalleryUnwritable, GalleryCorrupt: An older file at this path is unchanged.
        """
        self._file.backup(Path(path))

    @property
    def undo_minutes(self) -> int:
        """For how many minutes forgetting can be undone; 30 if it was never set. It is stored in the file."""
        return self._file.memory.undo_minutes

    def set_undo_minutes(self, minutes: int) -> None:
        """Set that number. `undo` does not change it. Raises OptionError, GalleryUnwritable."""
        if not 0 <= minutes <= MAX_UNDO_MINUTES:
            raise OptionError(f"the minutes of undo must be in 0..{MAX_UNDO_MINUTES}, but got {minutes}")
        self._file.change(operations.set_undo_minutes, int(minutes))

    def refresh(self) -> bool:
        """Read what other processes changed; return whether they changed anything. Raises GalleryMismatch."""
        return self._file.refresh()

    def close(self) -> None:
        """Close the file. `classes` can still be read."""
        self._file.close()
