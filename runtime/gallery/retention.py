"""When forgotten classes and removed shots are deleted for good.

They can be restored by `undo` for a number of minutes. Ages are measured by the monotonic clock, so that setting the
clock of the system neither shortens nor prolongs that time. The wall clock is asked once for each operation that was
made before this program opened the gallery.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runtime.gallery.records import read_classes, read_marks, read_operations

UNDO_MINUTES = 30
KEPT_OPERATIONS = 100
SHOTS_AT_ONCE = 50  # deleted in one transaction, with crops about 2 MB


@dataclass(frozen=True)
class Purged:
    """What `purge` deleted for good.

    Attributes:
        classes: Number of forgotten classes.
        shots: Number of shots, including those of the classes.
        wiped: Whether their bytes are gone from the file and its WAL. False means that another program was reading an
            older state at that moment; the next `purge` or `refresh` tries again.
        unreached: Backups that could not be opened to delete the same shots from them.
    """

    classes: int
    shots: int
    wiped: bool
    unreached: tuple[str, ...] = ()


@dataclass(frozen=True)
class Doomed:
    """What a purge up to an operation deletes."""

    newest: int  # the operation; it and all earlier ones can no longer be undone
    classes: tuple[int, ...]  # including classes that were merged into a forgotten one
    shots: tuple[int, ...]

    def parts(self) -> Iterator[Doomed]:
        """Divide it, so that no transaction needs much space. The first part makes undo impossible."""
        for first in range(0, max(1, len(self.shots)), SHOTS_AT_ONCE):
            shots = self.shots[first : first + SHOTS_AT_ONCE]
            yield Doomed(self.newest, self.classes if shots[-1:] == self.shots[-1:] else (), shots)


class Ages:
    """Measures how long ago operations were made."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self.now, self._wall = monotonic, wall
        self._made: dict[int, float] = {}  # operation -> monotonic time

    def of(self, operation: int, time_s: float | None) -> float:
        """Return the age in seconds; `time_s` is the wall time at which it was made, None if that is unknown."""
        now = self.now()
        if operation not in self._made:
            self._made[operation] = now - (0.0 if time_s is None else max(0.0, self._wall() - time_s))
        return now - self._made[operation]


def due(db: sqlite3.Connection, ages: Ages, minutes: float) -> int | None:
    """Return the newest operation that can no longer be undone and deletes something; None if there is none.

    Args:
        db: The open gallery, within a transaction.
        ages: Measures the operations.
        minutes: How long an operation can be undone; 0 means that all are due.
    """
    times = {operation.id: operation.time_s for operation in read_operations(db)}
    # The events of a site decide about what was removed by 0, which is no operation: see runtime/fleet/arranging.py.
    gone = "SELECT gone_by FROM classes WHERE gone_by > 0 AND merged_into IS NULL"
    erasing = {id_ for (id_,) in db.execute(f"{gone} UNION SELECT made_by FROM marks WHERE keep = 0")}  # nosec B608 # fixed words only
    aged = [id_ for id_ in erasing if ages.of(id_, times.get(id_)) >= 60 * minutes]
    old = "SELECT id FROM operations ORDER BY id DESC LIMIT -1 OFFSET ?"
    (beyond,) = db.execute(f"SELECT max(id) FROM ({old})", (KEPT_OPERATIONS,)).fetchone()  # nosec B608 # fixed words only
    return max([*aged, *([] if beyond is None else [beyond])], default=None)


def doomed(db: sqlite3.Connection, newest: int) -> Doomed:
    """Return what a purge up to this operation deletes. The row of a damaged class may be wrong, so it is kept."""
    rows = {row.id: row for row, sound in read_classes(db) if sound}
    classes = {row.id for row in rows.values() if row.merged_into is None and (row.gone_by or newest + 1) <= newest}
    while more := {row.id for row in rows.values() if row.merged_into in classes} - classes:
        classes |= more
    final = {shot for (shot,) in db.execute("SELECT shot FROM marks WHERE made_by <= ? AND keep = 0", (newest,))}
    shots = {shot for shot, keep in read_marks(db).items() if shot in final and not keep}
    for id_ in classes:
        shots |= {shot for (shot,) in db.execute("SELECT id FROM shots WHERE class = ?", (id_,))}
    return Doomed(newest, tuple(sorted(classes)), tuple(sorted(shots)))
