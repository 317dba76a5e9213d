"""Open a gallery, or look what is in one."""

from __future__ import annotations

from pathlib import Path

from runtime.errors import GalleryMismatch
from runtime.gallery.base import GalleryInfo
from runtime.gallery.database import connect, explained
from runtime.gallery.memory import census
from runtime.gallery.sqlite import SqliteGallery


def open_gallery(
    path: str | Path | None,
    *,
    fingerprint: str | None,
    dim: int | None = None,
    readonly: bool = False,
    timeout_s: float = 5.0,
) -> SqliteGallery:
    """Open the gallery at `path`, or create it; None keeps it in memory.

    `fingerprint` and `dim` are those of the bundle; fingerprint=None takes whatever the gallery holds, to list it or to
    re-embed it. `timeout_s` is how long a write waits for another process. A file that cannot be written is opened for
    recognition all the same; with `readonly` nothing is written even if it could be.

    Raises GalleryMismatch if another model filled it, GalleryCorrupt if it is something else (or absent, and no model
    is given to create it for), GalleryUnwritable if the system refuses.
    """
    path = None if path is None else Path(path)
    new = None if fingerprint is None or dim is None else (fingerprint, dim)
    if path is None and new is None:
        raise GalleryMismatch("A gallery in memory must know its model, but fingerprint or dim is None. Give both.")
    db = connect(path, new=new, readonly=readonly, timeout_s=timeout_s)
    try:
        return SqliteGallery(db, path, fingerprint, dim)
    except BaseException:
        db.close()
        raise


def peek(path: str | Path) -> GalleryInfo:
    """Say what a gallery holds, whatever model filled it, and change nothing. Raises GalleryCorrupt."""
    path = Path(path)
    db = connect(path, new=None, readonly=True, timeout_s=5.0)
    try:
        with explained(path, "read it"):
            return census(db)
    finally:
        db.close()
