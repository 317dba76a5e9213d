"""The file of the visits: written and read, bounded by days and bytes, and forgotten with their class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runtime.app.clock import SET_S, now_s
from runtime.app.sqlite_file import SqliteFile
from runtime.app.visits.tracker import OpenVisit, View
from runtime.errors import EdgefsError

DAYS = 30.0
MAX_BYTES = 500_000_000  # of all pictures
KIND = 0x65646676, 1  # "edfv", format
SCHEMA = (
    """CREATE TABLE visits (id INTEGER PRIMARY KEY AUTOINCREMENT, camera TEXT, label TEXT, certainty TEXT,
    candidate TEXT, score REAL, begun_s REAL, ended_s REAL, frames INTEGER, model TEXT, bytes INTEGER, review TEXT,
    review_label TEXT, operation INTEGER, taken_back INTEGER)""",
    "CREATE INDEX visits_by_time ON visits (begun_s)",
    """CREATE TABLE views (visit INTEGER REFERENCES visits (id) ON DELETE CASCADE, number INTEGER, embedding BLOB,
    crop BLOB, PRIMARY KEY (visit, number))""",
    # The oldest shot of every class: if a class has another label at the next look, its shots tell which.
    "CREATE TABLE classes (label TEXT PRIMARY KEY, shot INTEGER)",
)
COLUMNS = "id, camera, label, certainty, candidate, score, begun_s, ended_s, frames, model, review, review_label"
REVIEW = "CASE WHEN taken_back THEN NULL ELSE review END"


class VisitsUnusable(EdgefsError, OSError):
    """The file of the visits cannot be used."""


@dataclass(frozen=True)
class StoredVisit:
    """A visit as it was stored.

    Attributes:
        id: Its number.
        camera: The name of the camera.
        label: The class that was named or suggested; None for unknown.
        certainty: The best that was reached: "sure", "maybe" or "unknown".
        candidate: The nearest class.
        score: The best score.
        begun_s, ended_s: In Unix seconds.
        frames: How many frames showed it.
        model: The fingerprint of the bundle that made its embeddings.
        review: What a person said: "yes", "is", "not", "stranger"; None if nothing, or if that was undone.
        review_label: The class that it was about.
    """

    id: int
    camera: str
    label: str | None
    certainty: str
    candidate: str | None
    score: float | None
    begun_s: float
    ended_s: float
    frames: int
    model: str
    review: str | None
    review_label: str | None


@dataclass(frozen=True)
class Filter:
    """Which visits are wanted; None and False do not restrict. `before` is an id: only older visits."""

    label: str | None = None
    camera: str | None = None
    certainty: str | None = None
    unreviewed: bool = False
    before: int | None = None
    since_s: float | None = None

    def where(self) -> tuple[str, list[Any]]:
        """Return the SQL condition and its values. The class of a visit is the one that a person named, if any did."""
        parts: list[tuple[str, Any]] = [
            (f"coalesce(CASE WHEN {REVIEW} IN ('yes', 'is') THEN review_label END, label) = ?", self.label),
            ("camera = ?", self.camera),
            ("certainty = ?", self.certainty),
            ("id < ?", self.before),
            ("begun_s >= ?", self.since_s),
        ]
        chosen = [(sql, value) for sql, value in parts if value is not None]
        conditions = [sql for sql, _ in chosen] + [f"{REVIEW} IS NULL"] * self.unreviewed
        return " AND ".join(conditions) or "1", [value for _, value in chosen]


class VisitStore:
    """An open file of visits; several threads may use it.

    Args:
        path: The file, which is created if absent; None for one in memory.
        days: How long a visit is kept.
        max_bytes: How many bytes the pictures may have; the oldest visits beyond them are removed.

    Raises:
        VisitsUnusable: The file cannot be opened or written.
    """

    def __init__(self, path: Path | None, *, days: float = DAYS, max_bytes: int = MAX_BYTES) -> None:
        self._days, self._max_bytes = days, max_bytes
        self._file = SqliteFile(path, KIND, SCHEMA, VisitsUnusable, "Visits")

    def write(self, visits: Sequence[OpenVisit], model: str) -> None:
        """Store visits, or what is new of them, and remove what is too old or too much."""
        with self._file.change() as db:
            for visit in visits:
                size = sum(len(view.crop or b"") for view in visit.views)
                row = visit.certainty, visit.candidate, visit.score, visit.ended_s, visit.frames, size
                if visit.id is None:
                    cursor = db.execute(
                        "INSERT INTO visits (certainty, candidate, score, ended_s, frames, bytes, camera, label,"
                        " begun_s, model, taken_back) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                        (*row, visit.camera, visit.label, visit.begun_s, model),
                    )
                    visit.id = cursor.lastrowid
                else:
                    changed = db.execute(
                        "UPDATE visits SET certainty = ?, candidate = ?, score = ?, ended_s = ?, frames = ?, bytes = ?"
                        " WHERE id = ?",
                        (*row, visit.id),
                    )
                    if changed.rowcount == 0:  # it was removed meanwhile
                        continue
                db.executemany(
                    "INSERT OR IGNORE INTO views VALUES (?, ?, ?, ?)",
                    [(visit.id, n, view.embedding.tobytes(), view.crop) for n, view in enumerate(visit.views)],
                )
            oldest_s = now_s() - self._days * 86_400
            db.execute("DELETE FROM visits WHERE ended_s BETWEEN ? AND ?", (SET_S, oldest_s))
            newest = "SELECT id, sum(bytes) OVER (ORDER BY id DESC) AS total FROM visits"
            db.execute(
                f"DELETE FROM visits WHERE id IN (SELECT id FROM ({newest}) WHERE total > ?)", (self._max_bytes,)
            )

    def visits(self, wanted: Filter = Filter(), limit: int = 60) -> list[StoredVisit]:
        """Return visits, newest first."""
        where, values = wanted.where()
        columns = COLUMNS.replace("review,", f"{REVIEW},")
        with self._file.read() as db:
            sql = f"SELECT {columns} FROM visits WHERE {where} ORDER BY id DESC LIMIT ?"
            return [StoredVisit(*row) for row in db.execute(sql, (*values, limit))]

    def some(self, ids: Iterable[int]) -> list[StoredVisit]:
        """Return the visits with these ids that are there, newest first."""
        chosen = list(ids)
        marks = ", ".join("?" * len(chosen))
        columns = COLUMNS.replace("review,", f"{REVIEW},")
        with self._file.read() as db:
            sql = f"SELECT {columns} FROM visits WHERE id IN ({marks}) ORDER BY id DESC"
            return [StoredVisit(*row) for row in db.execute(sql, chosen)]

    def views(self, id_: int) -> list[View]:
        """Return the views of a visit; none if there is no such visit."""
        with self._file.read() as db:
            rows = db.execute("SELECT embedding, crop FROM views WHERE visit = ? ORDER BY number", (id_,)).fetchall()
        return [View(np.frombuffer(embedding, np.dtype("<f4")), crop) for embedding, crop in rows]

    def hours(self, since_s: float) -> list[tuple[float, str | None, int, float]]:
        """Return (begin of an hour, class, visits, seconds) since a time; the class is None for unknown."""
        label = f"CASE {REVIEW} WHEN 'yes' THEN review_label WHEN 'is' THEN review_label WHEN 'not' THEN NULL"
        label += " WHEN 'stranger' THEN NULL ELSE label END"
        with self._file.read() as db:
            return db.execute(
                f"SELECT CAST(begun_s / 3600 AS INTEGER) * 3600.0 AS hour, {label} AS name, count(*),"
                " sum(ended_s - begun_s) FROM visits WHERE begun_s >= ? GROUP BY hour, name ORDER BY hour, name",
                (since_s,),
            ).fetchall()

    def review(self, ids: Iterable[int], review: str, label: str | None, operation: int | None) -> None:
        """Store what a person said about visits, and the change of the gallery that followed."""
        with self._file.change() as db:
            db.executemany(
                "UPDATE visits SET review = ?, review_label = ?, operation = ?, taken_back = 0 WHERE id = ?",
                [(review, label, operation, id_) for id_ in ids],
            )

    def remove(self, ids: Iterable[int]) -> int:
        """Remove visits with their pictures; return how many there were."""
        with self._file.change() as db:
            count = sum(db.execute("DELETE FROM visits WHERE id = ?", (id_,)).rowcount for id_ in ids)
        self._file.wipe()
        return count

    def follow_history(self, made: Iterable[int], undone: Iterable[int]) -> None:
        """Let a review count no longer while its change of the gallery is undone."""
        with self._file.change() as db:
            for ids, taken_back in ((made, 0), (undone, 1)):
                db.executemany(
                    f"UPDATE visits SET taken_back = {taken_back} WHERE operation = ? AND taken_back != {taken_back}",
                    [(id_,) for id_ in ids],
                )

    def follow_classes(self, shots: Mapping[str, Sequence[int]]) -> dict[str, str | None]:
        """Rename the visits of renamed and merged classes, and remove those of forgotten classes.

        It also finds what another process changed, or what changed while the app was not running.

        Args:
            shots: The ids of the shots of every class that exists now, ascending.

        Returns:
            The classes that are gone: old label -> new label, or None for a forgotten class.
        """
        with self._file.read() as db:
            before = dict(db.execute("SELECT label, shot FROM classes").fetchall())
        now = {label: int(ids[0]) for label, ids in shots.items()}
        if before == now:
            return {}
        owner = {int(id_): label for label, ids in shots.items() for id_ in ids} if before.keys() - now.keys() else {}
        gone = {label: owner.get(shot) for label, shot in before.items() if label not in now}
        with self._file.change() as db:
            for label, to in gone.items():
                if to is None:
                    db.execute("DELETE FROM visits WHERE label = ? OR review_label = ?", (label, label))
                for column in ("label", "review_label", "candidate"):
                    db.execute(f"UPDATE visits SET {column} = ? WHERE {column} = ?", (to, label))
            db.execute("DELETE FROM classes")
            db.executemany("INSERT INTO classes VALUES (?, ?)", now.items())
        if None in gone.values():
            self._file.wipe()
        return gone

    def close(self) -> None:
        self._file.close()
