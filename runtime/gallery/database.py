"""The SQLite file: its tables, how it is opened and identified, and what its errors mean.

Completed writes survive a power loss only with write-ahead logging (WAL) and `synchronous = FULL`: with NORMAL, a
measurement lost 330 writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote as quoted
from urllib.parse import quote

from runtime.errors import GalleryCorrupt, GalleryMissing, GalleryUnwritable
from runtime.gallery.records import read_header, write_header
from runtime.gallery.recovery import totals
from runtime.gallery.recovery.reserve import Reserve
from runtime.gallery.recovery.totals import FORMAT

APPLICATION_ID = 0x65646673  # "edfs"
# Forget and merge do not delete a class: they record in gone_by which operation removed it. Shots never move: after a
# merge their class points to the other class (merged_into). So the inverse of every operation is a few small rows.
SCHEMA = (
    "CREATE TABLE header (id INTEGER PRIMARY KEY CHECK (id = 1), fingerprint TEXT, dim INTEGER, digest BLOB)",
    """CREATE TABLE classes (id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT, made_by INTEGER, gone_by INTEGER,
    merged_into INTEGER REFERENCES classes (id) ON DELETE CASCADE, digest BLOB)""",
    """CREATE TABLE shots (id INTEGER PRIMARY KEY AUTOINCREMENT,
    class INTEGER REFERENCES classes (id) ON DELETE CASCADE, negative INTEGER, burst TEXT, quality REAL, source TEXT,
    time_s REAL, crop_digest BLOB, embedding BLOB, digest BLOB)""",
    "CREATE INDEX shots_by_class ON shots (class, negative)",
    # Crops have their own table, so that opening a gallery does not read every picture.
    "CREATE TABLE crops (shot INTEGER PRIMARY KEY REFERENCES shots (id) ON DELETE CASCADE, jpeg BLOB)",
    """CREATE TABLE operations (id INTEGER PRIMARY KEY AUTOINCREMENT, time_s REAL, what TEXT, first_shot INTEGER,
    last_shot INTEGER, class INTEGER, was TEXT, digest BLOB)""",
)
SCHEMA_2 = (  # added by format 2
    # What a person decided about a shot: keep is 0 for removed and 1 for kept. The newest mark of a shot counts.
    """CREATE TABLE marks (id INTEGER PRIMARY KEY AUTOINCREMENT, shot INTEGER REFERENCES shots (id) ON DELETE CASCADE,
    keep INTEGER, made_by INTEGER, digest BLOB)""",
    # Frames that show nothing taught; told is 1 if a person said so.
    "CREATE TABLE background (id INTEGER PRIMARY KEY AUTOINCREMENT, told INTEGER, embedding BLOB, digest BLOB)",
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value INTEGER, digest BLOB)",
)
SCHEMA_3 = (  # added by format 3
    # See runtime/gallery/recovery/totals.py. It also has a copy of the header.
    "CREATE TABLE totals (name TEXT PRIMARY KEY, rows INTEGER, total BLOB, digest BLOB)",
    # The backups that were made of this gallery; path is absolute.
    "CREATE TABLE backups (id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT, digest BLOB)",
)
_STATEMENTS = {1: len(SCHEMA), 2: len(SCHEMA + SCHEMA_2), 3: len(SCHEMA + SCHEMA_2 + SCHEMA_3)}
ADDED = {1: SCHEMA_2 + SCHEMA_3, 2: SCHEMA_3}  # format of a file -> the tables that it lacks
_PRAGMAS = (
    "synchronous = FULL",
    "foreign_keys = ON",
    "recursive_triggers = ON",  # a replaced row counts as deleted in the totals
    "secure_delete = ON",
    "trusted_schema = OFF",
    "temp_store = MEMORY",
)
_HINTS = {
    "readonly": "Make the file and its folder writable, or open another gallery",
    "unable to open": "Create the folder and make the file and its folder writable",
    "full": "Free some space",
    "disk I/O": "Free some space and check the medium (dmesg)",
    "locked": "Another process is writing to it: close that, or try again",
}


class NotAGallery(GalleryCorrupt):
    """The file is something else, or of a newer format, so nothing is to be rescued from it."""


class GalleryConnection(sqlite3.Connection):
    """A connection that knows whether it may write, and whether a program before it was killed or has the file open."""

    writable = True
    in_use_before = False


@contextmanager
def explained(path: Path | None, doing: str, *, committing: bool = False) -> Iterator[None]:
    """Turn SQLite's errors into GalleryUnwritable (the system refused) or GalleryCorrupt (the file is damaged).

    Args:
        path: The file; None if it is in memory.
        doing: What is attempted, for the message.
        committing: Whether a transaction is being completed. If the medium fails then, the change can be in the
            write-ahead log already, and whoever opens the gallery next finds it.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        hint = next((hint for key, hint in _HINTS.items() if key in str(error)), "See the reason")
        unsure = committing and "disk I/O" in str(error)
        raise GalleryUnwritable(
            f"The gallery {path} must be usable to {doing}, but SQLite says: {error}. {hint}. "
            + ("The change may have been written: check it after a restart." if unsure else "Nothing was changed.")
        ) from error
    except (
        sqlite3.DatabaseError,
        UnicodeDecodeError,
    ) as error:  # UnicodeDecodeError: SQLite's own message quotes a damaged name
        raise GalleryCorrupt(
            f"{path} must be a sound edgefs gallery, but SQLite says: {error}. "
            "If it was one, restore a backup or import its last export."
        ) from error


def connect(path: Path | None, *, new: tuple[str, int] | None, readonly: bool, timeout_s: float) -> sqlite3.Connection:
    """Open a gallery file, or create it. A file that is not a gallery is never changed.

    Args:
        path: The file; None for a gallery in memory.
        new: (fingerprint, dim) of a gallery to create if there is none; None to open an existing one only.
        readonly: Whether to write nothing, even if that is possible.
        timeout_s: How long to wait for another process that writes.

    Raises:
        GalleryMissing: There is no such file and it may not be created.
        GalleryCorrupt: The file is something else.
        GalleryUnwritable: The system refused.
    """
    if path is None:
        return _open(":memory:", path, new, timeout_s)
    found = path.is_file() and path.stat().st_size > 0
    if not found and (new is None or readonly):
        raise GalleryMissing(
            f"{path} must be an edgefs gallery, but there is no such file. Teach a first class: "
            f"edgefs enroll NAME SOURCE --gallery {quoted(str(path))}"
        )
    uri = f"file:{quote(str(path.absolute()))}"
    with explained(path, "open it"):
        if not readonly:
            try:
                return _open(f"{uri}?mode=rwc", path, new, timeout_s)
            except sqlite3.OperationalError as error:
                # A WAL needs a shared-memory file beside it, which cannot be created on a full disk …
                if found and any(key in str(error) for key in ("full", "disk I/O")):
                    with Reserve(path).lent():
                        return _open(f"{uri}?mode=rwc", path, new, timeout_s)
                # … or in a read-only folder.
                if not found or not any(key in str(error) for key in ("readonly", "unable to open")):
                    raise
        # `immutable` creates no file, but ignores the WAL. So it is used exactly if the WAL is empty.
        wal = path.with_name(f"{path.name}-wal")
        pending = wal.exists() and wal.stat().st_size > 0
        return _open(f"{uri}?mode=ro{'' if pending else '&immutable=1'}", path, None, timeout_s, readonly=True)


def blank(uri: str, timeout_s: float = 5.0) -> GalleryConnection:
    """Open any SQLite file, or create an empty one, with the settings that galleries need."""
    db = sqlite3.connect(
        uri, uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False, factory=GalleryConnection
    )
    try:
        db.text_factory = bytes  # a flipped bit can make text invalid UTF-8; digests are over bytes
        for pragma in _PRAGMAS:
            db.execute(f"PRAGMA {pragma}")
    except BaseException:
        db.close()
        raise
    return db


def _open(
    uri: str, path: Path | None, new: tuple[str, int] | None, timeout_s: float, *, readonly: bool = False
) -> sqlite3.Connection:
    """Connect to a gallery; create its tables if the database is empty and `new` is given."""
    in_use_before = path is not None and path.with_name(f"{path.name}-wal").exists()  # it is deleted at the end
    db = blank(uri, timeout_s)
    try:
        db.writable, db.in_use_before = not readonly, in_use_before
        empty = new is not None and not _tables(db)
        version = FORMAT if empty else _checked_version(db, path)
        if not readonly:
            _require_wal(db, path)
        if version < FORMAT and readonly:
            for statement in ADDED[version]:  # empty tables stand in for those that an older format lacks
                db.execute(statement.replace("CREATE TABLE", "CREATE TEMP TABLE"))
        elif empty or version < FORMAT:
            _write_schema(db, new)
        return db
    except BaseException:
        db.close()
        raise


def _checked_version(db: sqlite3.Connection, path: Path | None) -> int:
    """Return the format of the file. Raises GalleryCorrupt unless it is a gallery with exactly the expected tables."""
    (application_id,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application_id != APPLICATION_ID:
        raise (GalleryCorrupt if _one_bit(application_id, APPLICATION_ID) else NotAGallery)(
            f"{path} must be an edgefs gallery, but it is another SQLite database."
        )
    if version > FORMAT:
        raise (GalleryCorrupt if _one_bit(version, FORMAT) else NotAGallery)(
            f"{path} must have gallery format {FORMAT} or older, but it has the newer format {version}. Upgrade edgefs."
        )
    tables = {statement.encode() for statement in (SCHEMA + SCHEMA_2 + SCHEMA_3)[: _STATEMENTS.get(version, 0)]}
    found = _tables(db)
    if found != tables:  # an added trigger would run within our writes
        raise (NotAGallery if found > tables else GalleryCorrupt)(
            f"{path} must have the tables of gallery format {version}, but it has others. Restore a backup."
        )
    return int(version)


def _one_bit(found: int, expected: int) -> bool:
    """Return whether a number may be the expected one with a flipped bit."""
    return bool(((found ^ expected) & 0xFFFFFFFF).bit_count() == 1)


def _tables(db: sqlite3.Connection) -> set[bytes]:
    """Return the SQL of every table, index, view and trigger in the file except SQLite's own."""
    return {sql for name, sql in db.execute("SELECT name, sql FROM sqlite_master") if not name.startswith(b"sqlite_")}


def _require_wal(db: sqlite3.Connection, path: Path | None) -> None:
    (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != (b"memory" if path is None else b"wal"):
        raise GalleryUnwritable(
            f"{path} must be on a file system with shared memory for SQLite's WAL, but it is not (a network share?). "
            "Put the gallery on a local disk."
        )


def _write_schema(db: sqlite3.Connection, new: tuple[str, int] | None) -> None:
    """Create the tables, or those that an older format lacks, unless another process did so just before."""
    db.execute("BEGIN IMMEDIATE")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version < FORMAT:
        empty = not _tables(db)
        create_tables(db, 0 if empty else version)
        if empty and new:
            write_header(db, *new)
        elif not empty:
            write_header(db, *read_header(db))
        totals.fill(db)
    db.execute("COMMIT")


def create_tables(db: sqlite3.Connection, version: int = 0) -> None:
    """Create the tables that a file of an older format lacks; 0 is an empty file."""
    for statement in (SCHEMA + SCHEMA_2 + SCHEMA_3)[_STATEMENTS.get(version, 0) :]:
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {FORMAT}")
