"""The events that wait to be delivered, in SQLite, so that no crash loses one.

An event is stored before it counts as fired and is removed after its delivery. A crash between the delivery and the
removal sends it again, with the same id; the receiver can tell the duplicate by it.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

import msgspec

from runtime.app.actions.rules import Rule
from runtime.app.clock import SET_S, now_s
from runtime.app.sqlite_file import SqliteFile
from runtime.errors import EdgefsError

MAX_PENDING = 10_000  # events of all rules; the oldest beyond them are dropped, which the results say
KEPT_RESULTS = 20  # of each rule
MAX_AGE_S = 3 * 86_400.0  # an event that could not be delivered for so long is dropped
FORMAT = 1
APPLICATION_ID = 0x65646661  # "edfa"
SCHEMA = (
    "CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT, rule TEXT, time_s REAL, body BLOB,"
    " tries INTEGER)",
    "CREATE TABLE results (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT, rule TEXT, time_s REAL, ok INTEGER,"
    " tries INTEGER, what TEXT)",
    "CREATE TABLE rules (name TEXT PRIMARY KEY, rule BLOB)",
)


class OutboxUnusable(EdgefsError, OSError):
    """The file of the waiting events cannot be used."""


@dataclass(frozen=True)
class Pending:
    """An event that waits. `body` is its JSON, and `tries` counts the attempts so far."""

    id: str
    rule: str
    time_s: float
    body: bytes
    tries: int


@dataclass(frozen=True)
class Result:
    """The outcome of the newest attempt to deliver an event. `time_s` is in Unix seconds."""

    id: str
    rule: str
    time_s: float
    ok: bool
    tries: int
    what: str


class Outbox:
    """An open file of events; several threads may use it.

    Args:
        path: The file, which is created if absent; None for one in memory.

    Raises:
        OutboxUnusable: The file cannot be opened or written.
    """

    def __init__(self, path: Path | None) -> None:
        kind = APPLICATION_ID, FORMAT
        self._file = SqliteFile(path, kind, SCHEMA, OutboxUnusable, "The events of actions")

    def put(self, id_: str, rule: str, body: bytes) -> None:
        """Store an event. When this returns, the event survives a crash."""
        with self._file.change() as db:
            db.execute("INSERT INTO events VALUES (NULL, ?, ?, ?, ?, 0)", (id_, rule, now_s(), body))
            over = "SELECT seq FROM events ORDER BY seq DESC LIMIT -1 OFFSET ?"
            self._drop(db, f"seq IN ({over})", MAX_PENDING, f"dropped: more than {MAX_PENDING} events were waiting")

    def drop_old(self) -> None:
        """Drop the events that could not be delivered for MAX_AGE_S; it is not known how old one of 1970 is."""
        why = "dropped: it could not be delivered for three days"
        with self._file.change() as db:
            self._drop(db, f"time_s BETWEEN {SET_S} AND ?", now_s() - MAX_AGE_S, why)

    def next(self, rule: str) -> Pending | None:
        """Return the event of a rule to be tried next: of those tried least often the oldest."""
        with self._file.read() as db:
            row = db.execute(
                "SELECT id, rule, time_s, body, tries FROM events WHERE rule = ? ORDER BY tries, seq LIMIT 1", (rule,)
            ).fetchone()
        return Pending(*row) if row else None

    def delivered(self, event: Pending, what: str) -> None:
        """Remove an event, because it was delivered."""
        with self._file.change() as db:
            db.execute("DELETE FROM events WHERE id = ?", (event.id,))
            self._result(db, event.id, event.rule, True, event.tries + 1, what)

    def failed(self, event: Pending, why: str) -> None:
        """Count a failed attempt; the event stays."""
        with self._file.change() as db:
            db.execute("UPDATE events SET tries = tries + 1 WHERE id = ?", (event.id,))
            self._result(db, event.id, event.rule, False, event.tries + 1, why)

    def tested(self, rule: str, id_: str, what: str, *, ok: bool) -> Result:
        """Store the result of a test, which is not an event that waits."""
        with self._file.change() as db:
            self._result(db, id_, rule, ok, 1, what)
        return Result(id_, rule, now_s(), ok, 1, what)

    def waiting(self) -> dict[str, int]:
        """Return how many events of each rule wait."""
        with self._file.read() as db:
            return dict(db.execute("SELECT rule, count(*) FROM events GROUP BY rule"))

    def results(self, rule: str) -> list[Result]:
        """Return the newest results of a rule, newest first."""
        with self._file.read() as db:
            rows = db.execute(
                "SELECT id, rule, time_s, ok, tries, what FROM results WHERE rule = ? ORDER BY seq DESC", (rule,)
            ).fetchall()
        return [Result(id_, name, at, bool(ok), tries, what) for id_, name, at, ok, tries, what in rows]

    def rules(self) -> list[Rule]:
        """Return the rules that were stored by `set_rule`."""
        with self._file.read() as db:
            rows = db.execute("SELECT rule FROM rules ORDER BY rowid").fetchall()
        return [msgspec.json.decode(row[0], type=Rule) for row in rows]

    def set_rule(self, name: str, rule: Rule | None) -> None:
        """Store a rule under its name; None removes it, with its waiting events and its results."""
        with self._file.change() as db:
            if rule is not None:
                text = msgspec.json.encode(rule)
                db.execute(
                    "INSERT INTO rules VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET rule = ?", (name, text, text)
                )
                return
            db.execute("DELETE FROM rules WHERE name = ?", (name,))
            for table in ("events", "results"):
                db.execute(f"DELETE FROM {table} WHERE rule = ?", (name,))

    def close(self) -> None:
        self._file.close()

    def _drop(self, db: sqlite3.Connection, where: str, value: float, why: str) -> None:
        for id_, rule, tries in db.execute(f"SELECT id, rule, tries FROM events WHERE {where}", (value,)).fetchall():
            db.execute("DELETE FROM events WHERE id = ?", (id_,))
            self._result(db, id_, rule, False, tries, why)

    @staticmethod
    def _result(db: sqlite3.Connection, id_: str, rule: str, ok: bool, tries: int, what: str) -> None:
        """Store the newest result of an event; only the newest KEPT_RESULTS of a rule are kept."""
        db.execute("DELETE FROM results WHERE id = ?", (id_,))
        row = id_, rule, now_s(), int(ok), tries, what[:300]
        db.execute("INSERT INTO results VALUES (NULL, ?, ?, ?, ?, ?, ?)", row)
        newest = "SELECT seq FROM results WHERE rule = ? ORDER BY seq DESC LIMIT ?"
        db.execute(f"DELETE FROM results WHERE rule = ? AND seq NOT IN ({newest})", (rule, rule, KEPT_RESULTS))
