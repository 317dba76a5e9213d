"""Whether an open gallery can be changed, why not, and what is done about a full disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from runtime.errors import GalleryUnwritable
from runtime.gallery.base import State
from runtime.gallery.recovery.reserve import Reserve

T = TypeVar("T")
_REASONS: dict[str, State] = {  # what SQLite says -> the state
    "full": "disk full",
    "locked": "second writer",
    "readonly": "read-only",
    "disk I/O": "disk failing",
}


class Condition:
    """The condition of one open gallery.

    Args:
        path: Its file; None if it is in memory or cannot be written.
        refused: Why it cannot be written at all; "ok" if it can.
        settle: Lets what was changed leave the write-ahead log, which then needs no space.
    """

    def __init__(self, path: Path | None, refused: State, settle: Callable[[], None]) -> None:
        self.reserve = Reserve(path)
        self._failed: State = refused
        self._settle = settle

    @property
    def state(self) -> State:
        """Why the last change failed. A disk that is nearly full counts as full."""
        return "disk full" if self._failed == "ok" and self.reserve.scarce else self._failed

    def run(self, change: Callable[[], T], *, deletes: bool) -> T:
        """Make a change and note whether it failed; one that deletes something may use the reserved space."""
        try:
            result = change()
        except GalleryUnwritable as error:
            self._note(error)
            if not (deletes and self.reserve.size and self._failed in ("disk full", "disk failing")):
                raise
            return self.run_with_reserve(change)
        self._failed = "ok"
        return result

    def run_with_reserve(self, change: Callable[[], T]) -> T:
        """Make a change while the reserved space is free."""
        with self.reserve.lent():
            result = self.run(change, deletes=False)
            self._settle()
            return result

    def _note(self, error: GalleryUnwritable) -> None:
        said = str(error.__cause__)  # SQLite's own words; the message also names the file
        reason = next((state for key, state in _REASONS.items() if key in said), self._failed)
        # For some limits, such as a quota, SQLite reports an error of the disk.
        self._failed = "disk full" if reason == "disk failing" and not self.reserve.can_grow() else reason
