"""Open a gallery, or summarise one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import GalleryCorrupt, GalleryMismatch
from runtime.gallery.base import GalleryInfo
from runtime.gallery.database import NotAGallery, connect, explained
from runtime.gallery.memory import census
from runtime.gallery.recovery.files import remove_foreign_wal
from runtime.gallery.recovery.repair import rescued
from runtime.gallery.sqlite import SqliteGallery

if TYPE_CHECKING:
    from runtime.fleet.gallery import FleetGallery

log = logging.getLogger(__name__)


def open_gallery(
    path: str | Path | None,
    *,
    fingerprint: str | None,
    dim: int | None = None,
    readonly: bool = False,
    timeout_s: float = 5.0,
) -> SqliteGallery | FleetGallery:
    """Open a gallery, or create it.

    A file that cannot be written is opened for recognition all the same. Of a damaged file, everything is read that can
    be verified; its `state` is "damaged", and nothing can be written before `repair`.

    Args:
        path: The file; None keeps the gallery in memory; postgresql://… is the gallery of a site (docs/fleet.md).
        fingerprint: Of the bundle that computes the embeddings. None accepts any existing gallery, to list it or to
            embed it again.
        dim: Length of an embedding; needed to create a gallery.
        readonly: Whether to write nothing, even if that is possible.
        timeout_s: How long a write waits for another process, in seconds.

    Raises:
        GalleryMissing: There is no such file, and no model is given to create it for.
        GalleryMismatch: Another model filled it.
        GalleryCorrupt: The file is something else, or so damaged that no record can be read.
        GalleryUnwritable: The system refused.
    """
    if isinstance(path, str) and path.startswith(("postgresql://", "postgres://")):
        from runtime.fleet.opening import open_fleet  # here, because its copy is a file that this room opens

        return open_fleet(path, fingerprint=fingerprint, dim=dim)
    return open_file(
        None if path is None else Path(path), fingerprint=fingerprint, dim=dim, readonly=readonly, timeout_s=timeout_s
    )


def open_file(
    path: Path | None, *, fingerprint: str | None, dim: int | None, readonly: bool = False, timeout_s: float = 5.0
) -> SqliteGallery:
    """`open_gallery` for a file."""
    new = None if fingerprint is None or dim is None else (fingerprint, dim)
    if path is None and new is None:
        raise GalleryMismatch("A gallery in memory must know its model, but fingerprint or dim is None. Give both.")
    if path is not None and not readonly and (kept := remove_foreign_wal(path)):
        log.warning("The write-ahead log beside %s belongs to another file. It was set aside as %s.", path, kept)
    try:
        db = connect(path, new=new, readonly=readonly, timeout_s=timeout_s)
        try:
            gallery = SqliteGallery(db, path, fingerprint, dim)
        except BaseException:
            db.close()
            raise
        # Rows that SQLite does not find are read from the pages, if the structure of the file is damaged.
        rest = rescued(path) if path is not None and any(not one.id for one in gallery.damaged) else None
        if rest is None:
            return gallery
        gallery.close()
        return SqliteGallery(rest[0], path, fingerprint, dim, tuple(dict.fromkeys((*gallery.damaged, *rest[1]))))
    except NotAGallery:
        raise
    except GalleryCorrupt:
        rest = None if path is None else rescued(path)
        if rest is None:
            raise
        return SqliteGallery(rest[0], path, fingerprint, dim, rest[1])


def peek(path: str | Path) -> GalleryInfo:
    """Summarise a gallery that any model filled, without changing it. Raises GalleryMissing or GalleryCorrupt."""
    path = Path(path)
    db = connect(path, new=None, readonly=True, timeout_s=5.0)
    try:
        with explained(path, "read it"):
            return census(db)
    finally:
        db.close()
