"""Opens a damaged gallery for reading, and repairs one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from runtime.errors import GalleryCorrupt
from runtime.gallery.base import Damaged, Repair
from runtime.gallery.database import blank, explained
from runtime.gallery.memory import load
from runtime.gallery.recovery import files
from runtime.gallery.recovery.check import examined
from runtime.gallery.recovery.rebuild import build, mend, remaining
from runtime.gallery.recovery.salvage import salvage


def rescued(path: Path) -> tuple[sqlite3.Connection, tuple[Damaged, ...]] | None:
    """Read all rows that can be verified into memory; None if the file is not a gallery."""
    result = salvage(path)
    if result is None:
        return None
    found, pages = result
    db = blank(":memory:")
    build(db, found, pages)
    db.writable = False
    return db, remaining(found)


def repair_file(path: Path) -> Repair:
    """Write all rows that can be verified into a new file, which replaces the damaged one atomically.

    Raises:
        GalleryCorrupt: The file is not a gallery, or it cannot be known which model filled it.
        GalleryUnwritable: Another program has it open, or the system refused; nothing was changed.
    """
    new = path.with_name(f".{path.name}.repair")
    with explained(path, "repair it"), files.alone(path):
        result = salvage(path)
        if result is None:
            raise GalleryCorrupt(f"{path} must be an edgefs gallery, but no record of one was found. Restore a backup.")
        found, pages = result
        notes = mend(found)
        for name in (new, new.with_name(f"{new.name}-journal")):
            name.unlink(missing_ok=True)
        with closing(blank(str(new))) as db:
            build(db, found, pages)
            left = examined(db, load(db)).damaged
        if left:
            raise GalleryCorrupt(f"{path} must be undamaged after the repair, but {left[0].what}. Restore a backup.")
        return Repair(tuple(notes), files.replace(path, new))
