"""The database of a site: what a device sends to it and reads from it. The only file that knows psycopg."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

import numpy as np

from runtime.errors import FleetMissing, GalleryMismatch, GalleryUnwritable, SiteUnavailable
from runtime.fleet.events import Event, EventKey, ShotKey
from runtime.gallery.base import NewShot

VERSION = 1
CHANNEL = "edgefs"
Role = Literal["viewer", "device", "teacher"]
_CONNECTION = {  # a connection that is cut without a word is noticed within half a minute
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "application_name": "edgefs",
}


@dataclass(frozen=True)
class SiteInfo:
    """The state of a site, as its database says."""

    id: str
    version: int
    fingerprint: str | None  # None before the first device
    dim: int | None
    events: int  # the newest place in its order
    role: Role  # of this login


class SiteDatabase:
    """One connection. Not safe to use from several threads, except `interrupt`.

    Raises:
        SiteUnavailable: It cannot be reached, or is no site.
    """

    def __init__(self, conninfo: str) -> None:
        psycopg = _psycopg()
        self._errors = psycopg.Error
        self.hinted = False  # whether a hint came together with the answer to another call
        with self._explained():
            self._db = psycopg.connect(conninfo, autocommit=True, **_CONNECTION)

    def info(self) -> SiteInfo:
        """Return the state of the site. Raises SiteUnavailable if it is none, or of a newer format."""
        with self._explained():
            (found,) = self._row("SELECT to_regclass('edgefs.site') IS NOT NULL")
            if not found:
                raise SiteUnavailable(
                    "The database must be a site, but it has no tables of one. Run: edgefs fleet init URL"
                )
            may = "pg_has_role(current_user, '{}', 'MEMBER')"
            row = self._row(
                "SELECT id::text, version, fingerprint, dim, (SELECT seq FROM edgefs.counter), "
                + ", ".join(may.format(role) for role in ("edgefs_device", "edgefs_teacher"))
                + " FROM edgefs.site"
            )
        id_, version, fingerprint, dim, seq, device, teacher = row
        if version != VERSION:
            older = "Run: edgefs fleet init URL" if version < VERSION else "Upgrade edgefs on this device"
            raise SiteUnavailable(f"The site must have format {VERSION}, but it has format {version}. {older}.")
        role: Role = "teacher" if teacher else "device" if device else "viewer"
        return SiteInfo(id_, version, fingerprint, dim, seq, role)

    def origins(self) -> list[tuple[str, int, int]]:
        """Return who made changes: (origin, how many, the newest place of them)."""
        with self._explained():
            return self._db.execute(  # type: ignore[no-any-return]
                "SELECT origin, count(*), max(seq) FROM edgefs.events GROUP BY origin ORDER BY origin"
            ).fetchall()

    def size_bytes(self) -> int:
        """Return how much the events and shots take in the database."""
        tables = ("edgefs.events", "edgefs.shots")
        with self._explained():
            return sum(self._row(f"SELECT pg_total_relation_size('{name}')")[0] for name in tables)

    def join(self, fingerprint: str, dim: int) -> SiteInfo:
        """Return the state of the site, whose model is this one if it had none. Raises GalleryMismatch."""
        info = self.info()
        if info.fingerprint is None and info.role != "viewer":
            with self._explained():
                self._db.execute("SELECT edgefs.join_site(%s, %s)", (fingerprint, dim))
            info = self.info()
        if info.fingerprint not in (None, fingerprint):
            raise GalleryMismatch(
                f"This device must have the model of its site, {str(info.fingerprint)[:12]} (dimension {info.dim}), "
                f"but it has {fingerprint[:12]} (dimension {dim}), so it neither reads nor writes embeddings there. "
                "Give it the bundle of the site, or make a new database for the new model (docs/fleet.md)."
            )
        return info

    def send(self, event: Event, fingerprint: str, shots: Mapping[int, NewShot]) -> None:
        """Write an event with its shots, by index, unless it is there already. It is durable when this returns."""
        values = *event.key, event.seen, fingerprint, event.text(), event.time_s
        with self._explained(), self._db.transaction():
            inserted = self._db.execute(
                "INSERT INTO edgefs.events (origin, n, seen, fingerprint, body, time_s, seq) "
                "VALUES (%s, %s, %s, %s, %s, %s, 0) ON CONFLICT (origin, n) DO NOTHING",
                values,
            ).rowcount
            if inserted and shots:  # of an event that is there already, bytes may have been deleted for good
                with self._db.cursor() as cursor:
                    cursor.executemany(
                        "INSERT INTO edgefs.shots VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                        [(*event.key, index, fingerprint, *_columns(shot)) for index, shot in shots.items()],
                    )

    def events_after(self, seq: int, limit: int) -> list[Event]:
        """Return the next events of the site's order."""
        query = (
            "SELECT origin, n, seen, body::text, time_s, seq FROM edgefs.events WHERE seq > %s ORDER BY seq LIMIT %s"
        )
        with self._explained():
            return [
                Event.parsed(EventKey(origin, n), text, seen=seen, time_s=time_s, seq=place)
                for origin, n, seen, text, time_s, place in self._db.execute(query, (seq, limit), binary=True)
            ]

    def shots(self, keys: Sequence[ShotKey], fingerprint: str) -> dict[ShotKey, NewShot]:
        """Return the shots without their crops; those that were deleted for good are missing."""
        query = (
            "SELECT s.origin, s.n, s.i, embedding, burst, quality, source, time_s FROM edgefs.shots s "
            "JOIN unnest(%s::text[], %s::bigint[], %s::int[]) AS k (origin, n, i) USING (origin, n, i) "
            "WHERE fingerprint = %s"
        )
        with self._explained():
            rows = self._db.execute(query, (*_arrays(keys), fingerprint), binary=True)
            return {
                ShotKey(*key): NewShot(np.frombuffer(embedding, "<f4"), None, burst, quality, source, time_s)
                for *key, embedding, burst, quality, source, time_s in rows
            }

    def crops(self, keys: Sequence[ShotKey]) -> dict[ShotKey, bytes]:
        """Return the crops of shots that have one."""
        query = (
            "SELECT s.origin, s.n, s.i, crop FROM edgefs.shots s "
            "JOIN unnest(%s::text[], %s::bigint[], %s::int[]) AS k (origin, n, i) USING (origin, n, i) "
            "WHERE crop IS NOT NULL"
        )
        with self._explained():
            rows = self._db.execute(query, _arrays(keys), binary=True)
            return {ShotKey(*key): bytes(crop) for *key, crop in rows}

    def delete_shots(self, keys: Sequence[ShotKey]) -> None:
        """Delete the bytes of these shots. Only a teacher may."""
        with self._explained():
            self._db.execute("SELECT edgefs.delete_shots(%s::text[], %s::bigint[], %s::int[])", _arrays(keys))

    def hint(self) -> None:
        """Tell the devices that listen that there is something new; they would find it later anyway."""
        with self._explained():
            self._db.execute(f"NOTIFY {CHANNEL}")

    def listen(self) -> None:
        """Let `wait` return when another device gives a hint."""
        with self._explained():
            self._db.add_notify_handler(self._note_hint)
            self._db.execute(f"LISTEN {CHANNEL}")

    def _note_hint(self, _: object) -> None:
        self.hinted = True

    def fileno(self) -> int:
        """Return what becomes readable when there is a hint, or when the connection ends."""
        with self._explained():
            return int(self._db.fileno())

    def take_hints(self) -> None:
        """Read the hints that came, so that `fileno` and `hinted` tell of later ones only."""
        with self._explained():
            self._db.pgconn.consume_input()
            while self._db.pgconn.notifies():
                pass
        self.hinted = False

    def query(self, sql: str, *values: object) -> list[Any]:
        """Return the rows of one statement, which is a transaction of its own."""
        with self._explained():
            cursor = self._db.execute(sql, values, binary=True)
            return cursor.fetchall() if cursor.description else []

    def interrupt(self) -> None:
        """Let a call of another thread that waits for the network fail now."""
        with suppress(Exception), socket.socket(fileno=os.dup(self._db.fileno())) as wire:
            wire.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        with suppress(Exception):
            self._db.close()

    def _row(self, query: str) -> Any:
        return self._db.execute(query).fetchone()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        psycopg = _psycopg()
        try:
            yield
        except psycopg.errors.InsufficientPrivilege as error:
            raise GalleryUnwritable(
                f"This login must be allowed to do this in the site's database, but PostgreSQL says: {_line(error)}. "
                "Register the device and grant its role: edgefs fleet init URL --device NAME (or --teacher NAME)"
            ) from error
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
            raise SiteUnavailable(
                f"The database must have the tables of a site of this version, but PostgreSQL says: {_line(error)}. "
                "An administrator brings them up to date: edgefs fleet init URL"
            ) from error
        except self._errors as error:
            raise SiteUnavailable(
                f"The site's database must answer, but PostgreSQL's client says: {_line(error)}. "
                "This device goes on with what it has, and tries again."
            ) from error


def init(conninfo: str, devices: Sequence[str] = (), teachers: Sequence[str] = ()) -> SiteInfo:
    """Create the tables and roles of a site, or bring them up to date, and register devices.

    Args:
        conninfo: The database, as a login that may create roles.
        devices: Names of devices that may teach; each gets a login of the same name.
        teachers: Names of devices that may make every change.

    Raises:
        SiteUnavailable: The database cannot be reached, or has a newer format.
    """
    database = SiteDatabase(conninfo)
    try:
        with database._explained():
            (found,) = database._row("SELECT to_regclass('edgefs.site') IS NOT NULL")
        if found:
            database.info()
        schema = resources.files(__package__).joinpath("schema.sql").read_text()
        sql = _psycopg().sql
        with database._explained(), database._db.transaction():
            database._db.execute("SELECT pg_advisory_xact_lock(hashtext('edgefs fleet init'))")
            database._db.execute(schema)
            for group, names in (("edgefs_device", devices), ("edgefs_teacher", teachers)):
                for name in names:
                    if not database._db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone():
                        database._db.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
                    grant = sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), sql.Identifier(name))
                    database._db.execute(grant)
                    row = (name, name)
                    database._db.execute("INSERT INTO edgefs.devices VALUES (%s, %s) ON CONFLICT DO NOTHING", row)
        return database.info()
    finally:
        database.close()


def _columns(shot: NewShot) -> tuple[Any, ...]:
    embedding = np.ascontiguousarray(shot.embedding, "<f4").tobytes()
    return embedding, shot.burst, shot.quality, shot.source, shot.time_s, shot.crop


def _arrays(keys: Sequence[ShotKey]) -> tuple[list[str], list[int], list[int]]:
    return [key.origin for key in keys], [key.n for key in keys], [key.i for key in keys]


def _line(error: Exception) -> str:
    """Return the first line of an error, without its full stop."""
    return (str(error).splitlines() or [type(error).__name__])[0].strip().rstrip(".")


def require_client() -> None:
    """Raise FleetMissing unless psycopg is installed."""
    _psycopg()


def _psycopg() -> Any:
    try:
        import psycopg
        import psycopg.sql
    except ImportError as error:
        raise FleetMissing(
            "A gallery in PostgreSQL needs psycopg, which is not installed. Run: pip install 'edgefs[fleet]'"
        ) from error
    return psycopg
