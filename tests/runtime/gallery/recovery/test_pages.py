"""Rows are read from the pages of a file as SQLite reads them."""

import sqlite3

import pytest

from runtime.gallery.recovery.pages import Pages

ROWS = [
    (1, b"a", 0, 1.5, None),
    (2, b"x" * 5000, -1, 2.0, b""),
    (300, b"", 2**40, -0.25, b"y" * 100_000),
    (2**33, b"z" * 4061, 127, 1e300, None),
]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "any.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a BLOB, b INTEGER, c REAL, d BLOB)")
    db.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", ROWS)
    db.commit()
    db.close()
    return path


def found(rows):
    return {(row.id, *row.values[1:]) for row in rows if not isinstance(row, int) and len(row.values) == 5}


def test_listed_rows_are_complete(path):
    pages = Pages(path, {})
    assert found(row for page in range(2, pages.count + 1) for row in pages.listed(page)) == set(ROWS)


def test_rows_are_found_on_a_page_whose_header_is_lost(path):
    data = bytearray(path.read_bytes())
    for page in range(1, len(data) // 4096):
        if data[4096 * page] == 0x0D:
            data[4096 * page : 4096 * page + 8] = bytes(8)
    path.write_bytes(data)
    pages = Pages(path, {})
    rows = found(row for page in range(2, pages.count + 1) for row in pages.anywhere(page))
    assert {row for row in ROWS if row[0] < 1 << 21} <= rows


def test_random_bytes_are_no_error(tmp_path):
    import random

    path = tmp_path / "noise"
    path.write_bytes(b"\x0d" + random.Random(0).randbytes(40_000))
    pages = Pages(path, {2: b"\x0d" + bytes(4095)})
    for page in range(1, pages.count + 1):
        list(pages.listed(page))
        list(pages.anywhere(page))
