"""A small SQLite file is durable, and another file is left alone."""

from __future__ import annotations

import sqlite3

import pytest

from runtime.app.sqlite_file import SqliteFile

SCHEMA = ("CREATE TABLE things (x)",)


def opened(path, kind=(17, 1)):
    return SqliteFile(path, kind, SCHEMA, OSError, "Things")


def test_the_settings_that_make_writes_durable_are_in_force(tmp_path):
    file = opened(tmp_path / "a.db")
    with file.read() as db:
        found = [
            db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "secure_delete")
        ]
    file.close()
    assert found == ["wal", 2, 1]


def test_a_change_that_fails_changes_nothing(tmp_path):
    file = opened(tmp_path / "a.db")

    def fail():
        with file.change() as db:
            db.execute("INSERT INTO things VALUES (1)")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with file.read() as db:
        assert db.execute("SELECT count(*) FROM things").fetchone() == (0,)
    file.close()


@pytest.mark.parametrize("kind", [(18, 1), (17, 2)])
def test_a_file_of_another_kind_or_version_is_refused_and_not_changed(tmp_path, kind):
    opened(tmp_path / "a.db", kind).close()
    before = (tmp_path / "a.db").read_bytes()
    with pytest.raises(OSError, match=r"Things must be stored in .* another version of edgefs"):
        opened(tmp_path / "a.db")
    assert (tmp_path / "a.db").read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "a.db").write_text("a shopping list, which is longer than the head of a database" * 9)
    with pytest.raises(OSError, match="not a database") as error:
        opened(tmp_path / "a.db")
    assert isinstance(error.value.__cause__, sqlite3.DatabaseError)
