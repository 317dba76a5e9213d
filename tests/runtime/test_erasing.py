"""No byte of a deleted row stays in a SQLite file, whatever was changed before."""

from __future__ import annotations

import random
import re
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from runtime.erasing import Eraser, erase_gaps

SEEDS = range(60)


def connect(path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = WAL", "secure_delete = ON", "synchronous = OFF"):
        db.execute(f"PRAGMA {pragma}")
    db.execute("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, content BLOB)")
    return db


def content(id_: int, rng: random.Random) -> bytes:
    return f"<{id_}>".encode() * rng.choice([40, 100, 400, 3000])


def change(db: sqlite3.Connection, seed: int, erase) -> set[int]:
    """Make 60 random changes; return the rows that are left."""
    rng, alive, later, first = random.Random(seed), set[int](), list[int](), 1
    for _ in range(60):
        if rng.random() < 0.6:
            later += range(first, first + rng.randint(1, 5))
            first = max(later, default=first) + 1 if later else first
            rng.shuffle(later)
            for id_ in [later.pop() for _ in range(rng.randint(0, len(later)))]:
                db.execute("INSERT INTO rows VALUES (?, ?)", (id_, content(id_, rng)))
                alive.add(id_)
        elif alive:
            for id_ in rng.sample(sorted(alive), min(len(alive), rng.randint(1, 8))):
                db.execute("DELETE FROM rows WHERE id = ?", (id_,))
                alive.remove(id_)
            erase()
    return alive


def left(path) -> set[int]:
    """Return the rows of which something is in the file."""
    return {int(id_) for id_ in re.findall(rb"<(\d+)>", path.read_bytes())}


def is_sound(path) -> bool:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_left_of_deleted_rows(tmp_path, seed):
    path = tmp_path / "one.db"
    with closing(connect(path)) as db:
        eraser = Eraser(db, path)
        alive = change(db, seed, lambda: eraser.erase() or pytest.fail("nobody else has the file open"))
        eraser.erase()
        assert left(path) == alive
        assert path.with_name("one.db-wal").stat().st_size == 0
    eraser.close()
    assert is_sound(path)


def test_sqlite_alone_leaves_something(tmp_path):
    """If this fails, SQLite clears its pages itself, and `runtime/erasing.py` can be deleted."""
    found = []
    for seed in SEEDS:
        path = tmp_path / f"{seed}.db"
        with closing(connect(path)) as db:
            alive = change(db, seed, lambda db=db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
        found.append(left(path) - alive)
        erase_gaps(path)
        assert left(path) == alive
        assert is_sound(path)
    assert any(found)


def test_a_program_that_reads_an_older_state_delays_it(tmp_path):
    path = tmp_path / "one.db"
    with closing(connect(path)) as db, closing(connect(path)) as reader:
        eraser = Eraser(db, path)
        db.execute("INSERT INTO rows VALUES (1, ?)", (b"<1>" * 100,))
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM rows").fetchone()
        db.execute("DELETE FROM rows")
        assert not eraser.erase()
        assert left(path.with_name("one.db-wal")) == {1}
        reader.execute("ROLLBACK")
        assert eraser.erase()
        assert left(path) == set()


def test_another_program_does_not_write_back_what_was_erased(tmp_path):
    path = tmp_path / "one.db"
    for seed in SEEDS:
        with closing(connect(path)) as db, closing(connect(path)) as other:
            eraser = Eraser(db, path)
            db.execute("DELETE FROM rows")
            change(db, seed, lambda db=db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
            kept = [
                id_ for (id_,) in other.execute("SELECT id FROM rows WHERE length(content) > 0")
            ]  # it caches the pages
            assert eraser.erase()
            for id_ in kept:
                other.execute("UPDATE rows SET content = zeroblob(length(content)) WHERE id = ?", (id_,))
            assert eraser.erase()
            assert left(path) == set()
        eraser.close()


def test_it_leaves_the_locks_of_other_connections_alone(tmp_path):
    path = tmp_path / "one.db"
    with closing(connect(path)) as other:
        db = connect(path)
        erasers = Eraser(db, path), Eraser(other, path)
        db.execute("INSERT INTO rows (content) VALUES (?)", (b"<1>",))
        for eraser in erasers:
            assert eraser.erase()
        db.close()
        erasers[0].close()
        assert is_in_use(path)
    erasers[1].close()
    assert not is_in_use(path)


def is_in_use(path) -> bool:
    """Return whether another process has the file open: if not, one that closes it deletes the write-ahead log."""
    line = (
        f"import sqlite3; db = sqlite3.connect({str(path)!r}); db.execute('SELECT * FROM rows').fetchall(); db.close()"
    )
    subprocess.run([sys.executable, "-c", line], check=True)
    return path.with_name(f"{path.name}-wal").exists()


@pytest.mark.parametrize("at", range(3, 7))
def test_no_row_of_a_page_is_overwritten_if_a_bit_of_its_header_is_flipped(tmp_path, at):
    """The bytes 3 to 6 of a page say how many rows it lists, and where the gap ends."""
    path = tmp_path / "one.db"
    with closing(connect(path)) as db:
        db.execute("BEGIN")
        for id_ in range(1, 21):
            db.execute("INSERT INTO rows VALUES (?, ?)", (id_, f"<{id_}>".encode() * 30))
        db.execute("COMMIT")
    data = path.read_bytes()
    (page,) = (
        start for start in range(4096, len(data), 4096) if data[start] == 13 and b"<20>" in data[start : start + 4096]
    )
    for bit in range(8):
        path.write_bytes(data[: page + at] + bytes([data[page + at] ^ 1 << bit]) + data[page + at + 1 :])
        erase_gaps(path)
        assert left(path) == set(range(1, 21))


def test_a_database_in_memory_has_no_file():
    with closing(sqlite3.connect(":memory:")) as db:
        assert Eraser(db, None).erase()
