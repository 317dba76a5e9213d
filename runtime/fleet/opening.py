"""Open the gallery of a site."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

from runtime.errors import GalleryMismatch, GalleryMissing
from runtime.fleet.address import parsed
from runtime.fleet.database import SiteDatabase, require_client
from runtime.fleet.gallery import FleetGallery
from runtime.fleet.journal import Journal
from runtime.fleet.replica import Replica
from runtime.gallery.opening import open_file

FIRST_WAIT_S = 60.0  # for the first contents of a new copy
WAIT_S = 3.0  # for what changed since this device was last there


def open_fleet(
    url: str,
    *,
    fingerprint: str | None,
    dim: int | None = None,
    connect: bool = True,
    wall: Callable[[], float] = time.time,
) -> FleetGallery:
    """Open the copy of this device, and exchange events with its site in the background.

    If the database answers, what is new there is read before this returns; if not, the copy is used as it is.

    Args:
        url: The address, see `runtime/fleet/address.py`.
        fingerprint: Of the bundle that computes the embeddings; None accepts the model of the copy or of the site.
        dim: Length of an embedding; needed for a new copy.
        connect: False works on the copy alone.
        wall: The clock of this device.

    Raises:
        OptionError: The address is not complete.
        GalleryMismatch: The site, or the copy, has another model.
        GalleryMissing: There is no copy yet, and no model to make it for.
        GalleryCorrupt, GalleryUnwritable: The copy cannot be used.
        FleetMissing: psycopg is not installed.
    """
    if connect:
        require_client()
    address = parsed(url)
    new = not address.copy.exists()
    if new and fingerprint is None:
        fingerprint, dim = _model_of_site(address.conninfo, address.shown)
    journal = Journal(address.copy.with_name(f"{address.copy.name}-events"))
    try:
        copy = open_file(address.copy, fingerprint=fingerprint, dim=dim)
        try:
            gallery = FleetGallery(address, Replica(copy, journal, address.device, wall), connect=connect)
        except BaseException:
            copy.close()
            raise
    except BaseException:
        journal.close()
        raise
    if gallery.sync is not None:
        gallery.sync.wait_for_first(FIRST_WAIT_S if new else WAIT_S)
        if gallery.sync.state.mismatch:
            gallery.close()
            raise GalleryMismatch(str(gallery.sync.state.problem))
    return gallery


def _model_of_site(conninfo: str, shown: str) -> tuple[str, int]:
    with closing(SiteDatabase(conninfo)) as database:
        info = database.info()
    if info.fingerprint is None or info.dim is None:
        raise GalleryMissing(
            f"{shown} must have been used by a device, but it is new. Teach a first class: "
            "edgefs enroll NAME SOURCE --gallery URL"
        )
    return info.fingerprint, info.dim
