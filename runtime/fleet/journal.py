"""What a device knows of the events of its site, in a SQLite file beside its copy of the gallery.

It holds no embedding and no picture: those are in the gallery file alone. An event is durable when `append` returns.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from runtime.errors import GalleryCorrupt, GalleryUnwritable
from runtime.fleet.events import Event, EventKey, ShotKey

APPLICATION_ID = 0x65646665  # "edfe"
FORMAT = 1
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value);
CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY AUTOINCREMENT, origin TEXT, n INTEGER, seen INTEGER,
  text TEXT, time_s REAL, seq INTEGER UNIQUE, stored_s REAL, UNIQUE (origin, n));
CREATE TABLE IF NOT EXISTS shots (id INTEGER PRIMARY KEY, origin TEXT, n INTEGER, i INTEGER, crop INTEGER,
  UNIQUE (origin, n, i)) WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
"""


class Journal:
    """The open file. One process at a time may have it; several threads may use it.

    Raises:
        GalleryUnwritable: Another process has it, or the system refused.
        GalleryCorrupt: It is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._file = _locked(path)
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            with _explained(path):
                self._check()
                self._db.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; {SCHEMA}")
        except BaseException:
            self._file.close()
            raise

    def _check(self) -> None:
        (id_,), (version,) = (
            self._db.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
        )
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and (id_, version) != (APPLICATION_ID, FORMAT):
            raise GalleryCorrupt(
                f"{self.path} must hold the events of a site in format {FORMAT}, but it is another file. Delete it and "
                "the gallery beside it: both are fetched again. What was not sent is lost."
            )

    def meta(self, name: str) -> str | None:
        """Return a note of this device; None if it was never made."""
        with self._reading() as db:
            row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def note(self, name: str, value: str) -> None:
        """Make a note, which is durable when this returns."""
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def next_n(self, origin: str) -> int:
        """Return the number of the next event of an origin."""
        with self._reading() as db:
            (newest,) = db.execute("SELECT max(n) FROM events WHERE origin = ?", (origin,)).fetchone()
        return (newest or 0) + 1

    def append(self, event: Event, shots: Mapping[int, ShotKey], now_s: float) -> int:
        """Store an own event with the ids of its shots, which are in the gallery already; return its id here."""
        with self._writing() as db:
            self._map(db, shots, {})
            return self._insert(db, event, now_s)

    def confirm(self, events: Iterable[Event], now_s: float) -> None:
        """Store the next events of the site's order; own ones get their place."""
        with self._writing() as db:
            for event in events:
                self._insert(db, event, now_s)

    def map(self, shots: Mapping[int, ShotKey], crops: Mapping[int, bool]) -> None:
        """Store which shots of the gallery are which, and whether their crop is still to come."""
        with self._writing() as db:
            self._map(db, shots, crops)

    def arrived(self, ids: Iterable[int]) -> None:
        """Store that the crops of these shots came."""
        with self._writing() as db:
            db.executemany("UPDATE shots SET crop = 0 WHERE id = ?", [(id_,) for id_ in ids])

    def unmap(self, ids: Iterable[int]) -> None:
        """Delete shots that were deleted from the gallery."""
        with self._writing() as db:
            db.executemany("DELETE FROM shots WHERE id = ?", [(id_,) for id_ in ids])

    def drop(self, key: EventKey) -> None:
        """Delete an unsent event whose change was refused."""
        with self._writing() as db:
            db.execute("DELETE FROM events WHERE origin = ? AND n = ? AND seq IS NULL", key)

    def shots(self) -> dict[int, tuple[ShotKey, bool]]:
        """Return the shots of the gallery: id -> (key, whether its crop is still to come)."""
        with self._reading() as db:
            return {id_: (ShotKey(*key), bool(crop)) for id_, *key, crop in db.execute("SELECT * FROM shots")}

    def events(self) -> tuple[list[Event], list[Event]]:
        """Return the confirmed events in the order of the site, and the unsent ones in theirs."""
        with self._reading() as db:
            rows = db.execute("SELECT origin, n, seen, text, time_s, seq FROM events ORDER BY seq IS NULL, seq, n")
            every = [
                Event.parsed(EventKey(origin, n), text, seen=seen, time_s=time_s, seq=seq)
                for origin, n, seen, text, time_s, seq in rows
            ]
        return [one for one in every if one.seq is not None], [one for one in every if one.seq is None]

    def ids(self, events: Iterable[Event] | None = None) -> dict[EventKey, tuple[int, float]]:
        """Return the id of each event here, and this device's clock when it was stored; None means all events."""
        query = "SELECT origin, n, id, stored_s FROM events"
        with self._reading() as db:
            if events is None:
                rows = db.execute(query).fetchall()
            else:
                rows = [db.execute(f"{query} WHERE origin = ? AND n = ?", event.key).fetchone() for event in events]
            return {EventKey(origin, n): (id_, stored_s) for origin, n, id_, stored_s in rows}

    def close(self) -> None:
        """Close the file; another process may open it then."""
        with self._lock:
            self._db.close()
            self._file.close()

    def _insert(self, db: sqlite3.Connection, event: Event, now_s: float) -> int:
        row = *event.key, event.seen, event.text(), event.time_s, event.seq, now_s
        inserted = db.execute(
            "INSERT INTO events (origin, n, seen, text, time_s, seq, stored_s) VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (origin, n) DO UPDATE SET seq = excluded.seq WHERE seq IS NULL RETURNING id",
            row,
        ).fetchone()
        return int(inserted[0]) if inserted else 0

    def _map(self, db: sqlite3.Connection, shots: Mapping[int, ShotKey], crops: Mapping[int, bool]) -> None:
        rows = [(id_, *key, int(crops.get(id_, False))) for id_, key in shots.items()]
        db.executemany("INSERT OR REPLACE INTO shots VALUES (?, ?, ?, ?, ?)", rows)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _explained(self.path):
            yield self._db

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _explained(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")


def _locked(path: Path) -> TextIOWrapper:
    """Return the open lock file of a journal. Raises GalleryUnwritable."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_name(f"{path.name}-lock").open("a")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise GalleryUnwritable(
            f"The copy {path} must belong to one program, but another one has it. Change the gallery through that "
            "program, or give this one a copy of its own: add ?copy=FILE to the address."
        ) from error
    except OSError as error:
        raise GalleryUnwritable(f"{path} must be writable, but the system says: {error}. Give ?copy=FILE.") from error
    return file


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into those of a gallery."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise GalleryUnwritable(
            f"{path} must be writable, but SQLite says: {error}. Free some space and try again. Nothing was changed."
        ) from error
    except sqlite3.DatabaseError as error:
        raise GalleryCorrupt(
            f"{path} must be sound, but SQLite says: {error}. Delete it and the gallery beside it: both are fetched "
            "again. What was not sent is lost."
        ) from error
