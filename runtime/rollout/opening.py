"""Open the place of a rollout by its address."""

from __future__ import annotations

from runtime.fleet.address import is_site
from runtime.rollout.folder import Folder
from runtime.rollout.place import Place
from runtime.rollout.site import Site


def open_place(where: str) -> Place:
    """Return a folder or the database of a site; nothing is read yet.

    Args:
        where: A path, an http:// or https:// address, or postgresql://USER@HOST/DATABASE.

    Raises:
        OptionError: It is none of these.
        FleetMissing: psycopg is not installed.
    """
    return Site(where) if is_site(where) else Folder(where)
