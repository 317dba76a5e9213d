"""The database of a site (docs/fleet.md) as the place of a rollout. Its table `files` holds each file in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from typing import BinaryIO

from runtime.errors import GalleryUnwritable, SiteUnavailable
from runtime.fleet.address import parsed
from runtime.fleet.database import SiteDatabase, require_client
from runtime.rollout.index import NAME, Index
from runtime.rollout.place import Absent, Place, Unreachable

PART_BYTES = 1 << 18  # 2 s on a line of 1 Mbit/s, during which the database keeps what it sends
TIMEOUT_S = 30  # for one statement; a table that an administrator has locked must not hold a device

_WRITE = """
    INSERT INTO edgefs.files VALUES (%s, %s, %s)
    ON CONFLICT (name, start) DO UPDATE SET data = excluded.data WHERE files.data <> excluded.data
"""
# One transaction: the index is replaced if it is still what was read, and then what it names no longer is deleted.
_REPLACE_INDEX = """
    WITH written AS (
        INSERT INTO edgefs.files VALUES (%s, 0, %s)
        ON CONFLICT (name, start) DO UPDATE SET data = excluded.data WHERE files.data = %s RETURNING 1
    ), deleted AS (
        DELETE FROM edgefs.files
        WHERE starts_with(name, 'bundles/') AND name <> ALL (%s) AND EXISTS (SELECT FROM written)
    ) SELECT 1 FROM written
"""


class Site(Place):
    """The database of a site. Each call makes its own connection, so that none is open between two looks.

    Args:
        url: Its address, see `runtime/fleet/address.py`.

    Raises:
        OptionError: The address is not complete.
        FleetMissing: psycopg is not installed.
    """

    def __init__(self, url: str) -> None:
        require_client()
        address = parsed(url)
        super().__init__(address.shown)
        self._conninfo = address.conninfo

    def read(self, name: str, limit: int) -> bytes:
        """Return a file of one part and at most `limit` bytes. Raises Absent or Unreachable."""
        with self._connected() as database:
            found = database.query(
                "SELECT substring(data FOR %s) FROM edgefs.files WHERE name = %s AND start = 0", limit + 1, name
            )
        if not found:
            raise Absent(f"{self._path(name)} must be published, but is not there; trying again later")
        if len(data := bytes(found[0][0])) > limit:
            raise self._too_long(name, limit)
        return data

    def read_all(self, folder: str, limit: int) -> list[bytes]:
        """Return the files of a folder, without those of more than `limit` bytes. Raises Unreachable."""
        query = "SELECT data FROM edgefs.files WHERE starts_with(name, %s) AND octet_length(data) <= %s ORDER BY name"
        with self._connected() as database:
            return [bytes(data) for (data,) in database.query(query, f"{folder}/", limit)]

    def write(self, name: str, data: bytes) -> None:
        """Write a file of one part. Raises Unreachable."""
        with self._connected() as database:
            database.query(_WRITE, name, 0, data)

    def publish(self, index: Index, signed: bytes, bundle: bytes, replaced: bytes | None) -> None:
        """Write what the database lacks of a bundle, and then the index that names it.

        Raises:
            Unreachable: It could not be written; or somebody else replaced the index meanwhile, which is kept then.
        """
        name = index.release.file
        kept = [release.file for release in (index.release, index.previous) if release]
        with self._connected() as database:
            database.query(
                "DELETE FROM edgefs.files WHERE name = %s AND (start %% %s <> 0 OR start >= %s)",
                *(name, PART_BYTES, len(bundle)),
            )
            there = dict(database.query("SELECT start, sha256(data) FROM edgefs.files WHERE name = %s", name))
            for start in range(0, len(bundle), PART_BYTES):
                part = bundle[start : start + PART_BYTES]
                if there.get(start) != sha256(part).digest():
                    database.query(_WRITE, name, start, part)
            if not database.query(_REPLACE_INDEX, NAME, signed, replaced, kept):
                raise Unreachable(
                    f"{self._path(NAME)} must stay the same while a bundle is published, but somebody else published "
                    f"meanwhile. Look at it (edgefs rollout status {self.where}), then publish again."
                )

    def _go_on(self, name: str, file: BinaryIO, size: int, stopped: Callable[[], bool]) -> None:
        query = (
            "SELECT substring(data FROM (%s - start + 1)::int) FROM edgefs.files "
            "WHERE name = %s AND start <= %s ORDER BY start DESC LIMIT 1"
        )
        with self._connected() as database:
            while file.tell() < size and not stopped():
                found = database.query(query, file.tell(), name, file.tell())
                if not found or not found[0][0]:
                    return
                file.write(found[0][0])

    @contextmanager
    def _connected(self) -> Iterator[SiteDatabase]:
        try:
            with closing(SiteDatabase(self._conninfo)) as database:
                database.query(f"SET statement_timeout = '{TIMEOUT_S}s'")
                yield database
        except (SiteUnavailable, GalleryUnwritable) as error:
            raise Unreachable(f"{self.where}: {error}") from error
