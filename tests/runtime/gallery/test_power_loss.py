"""After a power loss at any moment, a gallery holds every acknowledged change and nothing else.

The writes that SQLite makes are recorded where it calls the operating system (its VFS). A power loss keeps everything
that was synchronised, and any subset of the later writes, some of them only in part. The gallery is then opened from
these bytes. The same with weaker settings of SQLite must lose something, or the test would prove nothing.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import GalleryUnwritable
from runtime.gallery import NewShot, SqliteGallery, open_gallery

DIM = 4
MODEL = "a" * 64
SECTOR = 512
INT, LONG, POINTER = ctypes.c_int, ctypes.c_longlong, ctypes.c_void_p
Operation = tuple[str, str, int, bytes]  # (write, truncate, sync or delete; file; place or size; bytes)
Refuse = Callable[[str], int]  # the file of a sync -> SQLite's code of the error; 0 lets it happen
IOERR_FSYNC = 1034
METHODS = 19  # pointers in sqlite3_io_methods; the first is its version
OPEN = ctypes.CFUNCTYPE(INT, POINTER, POINTER, POINTER, INT, POINTER)
DELETE = ctypes.CFUNCTYPE(INT, POINTER, POINTER, INT)
WRITE = ctypes.CFUNCTYPE(INT, POINTER, POINTER, INT, LONG)
TRUNCATE = ctypes.CFUNCTYPE(INT, POINTER, LONG)
SYNC = ctypes.CFUNCTYPE(INT, POINTER, INT)


class Vfs(ctypes.Structure):
    """The start of struct sqlite3_vfs."""

    _fields_ = (
        ("version", INT),
        ("file_size", INT),
        ("longest_path", INT),
        ("next", POINTER),
        ("name", POINTER),
        ("data", POINTER),
        ("open", POINTER),
        ("delete", POINTER),
    )


def library() -> ctypes.CDLL | None:
    """Return the SQLite library of this Python; None if it is not a shared one."""
    maps = Path("/proc/self/maps")
    found = (
        [line.split()[-1] for line in maps.read_text().splitlines() if "libsqlite3" in line] if maps.exists() else []
    )
    return ctypes.CDLL(found[0]) if found else None


pytestmark = pytest.mark.skipif(library() is None, reason="this Python has no shared SQLite library to record")


@contextmanager
def recorded(log: list[Operation], refuse: Refuse = lambda _: 0) -> Iterator[None]:
    """Record all writes of SQLite in this process."""
    sqlite = library()
    assert sqlite
    sqlite.sqlite3_vfs_find.restype = ctypes.POINTER(Vfs)
    vfs = sqlite.sqlite3_vfs_find(None).contents
    first_open, first_delete = vfs.open, vfs.delete
    real_open, real_delete = OPEN(first_open), DELETE(first_delete)
    names: dict[int, str] = {}
    alive: list[object] = []

    def opened(vfs_: int, name: int, file: int, flags: int, out: int) -> int:
        status = real_open(vfs_, name, file, flags, out)
        methods = ctypes.cast(file, ctypes.POINTER(POINTER))
        if status or not name or not methods[0]:
            return status
        names[file] = Path(ctypes.string_at(name).decode()).name
        real = ctypes.cast(methods[0], ctypes.POINTER(POINTER))
        table = (POINTER * METHODS)(*real[:METHODS])
        write, truncate, sync = WRITE(real[3]), TRUNCATE(real[4]), SYNC(real[5])

        def on_write(file: int, data: int, length: int, place: int) -> int:
            log.append(("write", names[file], place, ctypes.string_at(data, length)))
            return write(file, data, length, place)

        def on_truncate(file: int, size: int) -> int:
            log.append(("truncate", names[file], size, b""))
            return truncate(file, size)

        def on_sync(file: int, flags: int) -> int:
            log.append(("sync", names[file], 0, b""))
            return refuse(names[file]) or sync(file, flags)

        changed = WRITE(on_write), TRUNCATE(on_truncate), SYNC(on_sync)
        table[3:6] = [ctypes.cast(function, POINTER).value for function in changed]
        alive.extend((table, changed))
        methods[0] = ctypes.addressof(table)
        return status

    def deleted(vfs_: int, name: int, sync_folder: int) -> int:
        log.append(("delete", Path(ctypes.string_at(name).decode()).name, 0, b""))
        return real_delete(vfs_, name, sync_folder)

    hooks = OPEN(opened), DELETE(deleted)
    vfs.open, vfs.delete = (ctypes.cast(hook, POINTER).value for hook in hooks)
    try:
        yield
    finally:
        vfs.open, vfs.delete = first_open, first_delete
        KEPT.extend((alive, hooks))


KEPT: list[object] = []  # a connection that is closed later still calls them


def shots(dice: np.random.Generator, count: int) -> list[NewShot]:
    return [
        NewShot(dice.standard_normal(DIM).astype(np.float32), dice.bytes(3000), "b", 0.5, "api", 1.0)
        for _ in range(count)
    ]


def contents(gallery: SqliteGallery) -> dict[str, list[int]]:
    return {label: shots.ids.tolist() for label, shots in gallery.classes.items()}


def taught(path: Path, synchronous: str) -> tuple[list[Operation], list[tuple[int, dict[str, list[int]]]]]:
    """Teach a gallery; return what SQLite wrote, and (operations so far, contents) at every acknowledgement."""
    log: list[Operation] = []
    dice = np.random.default_rng(0)
    with recorded(log), open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        gallery._file.db.execute(f"PRAGMA synchronous = {synchronous}")
        gallery._file.db.execute("PRAGMA wal_autocheckpoint = 25")  # pages: several checkpoints take place
        acknowledged = [(0, contents(gallery))]
        steps: list[Callable[[], object]] = []
        for number in range(8):
            steps += [lambda n=number: gallery.add(f"class {n}", shots(dice, 3))]
            steps += [lambda n=number: gallery.rename(f"class {n}", f"name {n}")] * (number % 2)
            steps += [lambda n=number: gallery.forget(f"class {n}")] * (number in (2, 4))
            steps += [gallery.undo] * (number == 4)
            steps += [lambda: gallery.forget("class 0", now=True)] * (number == 5)
        for step in steps:
            step()
            acknowledged.append((len(log), contents(gallery)))
    return log, acknowledged


def after_power_loss(before: dict[str, bytes], log: list[Operation], end: int, dice: random.Random) -> dict[str, bytes]:
    """Return the files if the power fails after `end` operations: what was not synchronised may be lost or torn."""
    durable = {name: bytearray(data) for name, data in before.items()}
    pending: list[Operation] = []
    for operation in log[:end]:
        if operation[0] in ("sync", "delete"):
            for earlier in [one for one in pending if one[1] == operation[1]]:
                _apply(durable, earlier)
            pending = [one for one in pending if one[1] != operation[1]]
        if operation[0] == "delete":
            durable.pop(operation[1], None)
        elif operation[0] != "sync":
            pending.append(operation)
    share = dice.choice((0.0, 0.5, 0.9, 1.0))
    for kind, name, place, data in pending:
        if dice.random() < share:
            torn = dice.randrange(0, len(data), SECTOR) if len(data) > SECTOR and dice.random() < 0.2 else len(data)
            _apply(durable, (kind, name, place, data[:torn] if kind == "write" else data))
    return {name: bytes(data) for name, data in durable.items()}


def _apply(files: dict[str, bytearray], operation: Operation) -> None:
    kind, name, place, data = operation
    file = files.setdefault(name, bytearray())
    if kind == "truncate":
        del file[place:]
    else:
        file.extend(bytes(max(0, place - len(file))))
        file[place : place + len(data)] = data


def losses(folder: Path, states: int, seed: int, synchronous: str) -> int:
    """Return after how many of the power losses an acknowledged change was lost, or the gallery was damaged."""
    path = folder / "shop.db"
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery:
        gallery.add("first", shots(np.random.default_rng(1), 2))
    before = {path.name: path.read_bytes()}
    log, acknowledged = taught(path, synchronous)
    assert len(log) > 150
    dice, lost = random.Random(seed), 0
    for number in range(states):
        end = number % (len(log) + 1) if states > len(log) else dice.randrange(len(log) + 1)
        where = folder / "after"
        where.mkdir()
        for name, data in after_power_loss(before, log, end, dice).items():
            (where / name).write_bytes(data)
        done = max(i for i, (count, _) in enumerate(acknowledged) if count <= end)
        allowed = [known for _, known in acknowledged[done : done + 2]]
        try:
            with open_gallery(where / "shop.db", fingerprint=MODEL, dim=DIM) as gallery:
                sound = gallery.state == "ok" and not gallery.check() and contents(gallery) in allowed
                sound = sound and not list(where.glob("*set-aside*"))
        except Exception:
            sound = False
        lost += not sound
        shutil.rmtree(where)
    return lost


def test_150_power_losses_lose_no_acknowledged_change(tmp_path):
    assert losses(tmp_path, 150, 0, "FULL") == 0


@pytest.mark.slow
def test_3000_power_losses_lose_no_acknowledged_change(tmp_path):
    assert losses(tmp_path, 3000, 1, "FULL") == 0


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_with_weaker_settings_changes_would_be_lost(tmp_path, synchronous):
    assert losses(tmp_path, 150, 0, synchronous) > 0


def test_a_change_of_which_the_medium_refuses_the_flush_is_called_unsure_and_the_next_one_replaces_it(tmp_path):
    path, refusing = tmp_path / "shop.db", False
    with (
        recorded([], lambda name: IOERR_FSYNC if refusing and name.endswith("-wal") else 0),
        open_gallery(path, fingerprint=MODEL, dim=DIM) as gallery,
    ):
        gallery.add("mug", shots(np.random.default_rng(0), 3))
        refusing = True
        with pytest.raises(GalleryUnwritable, match="may have been written: check it after a restart"):
            gallery.forget("mug")
        assert (gallery.state, list(gallery.classes)) == ("disk failing", ["mug"])
        crashed = tmp_path / "crashed"  # what a restart finds without a shared-memory file
        crashed.mkdir()
        for name in ("shop.db", "shop.db-wal"):
            shutil.copy(tmp_path / name, crashed / name)
        with open_gallery(crashed / "shop.db", fingerprint=MODEL, dim=DIM) as restarted:
            assert list(restarted.classes) == []
        refusing = False
        gallery.rename("mug", "cup")
        assert gallery.state == "ok"
    with open_gallery(path, fingerprint=MODEL, dim=DIM) as restarted:
        assert list(restarted.classes) == ["cup"]


def test_the_settings_of_a_gallery_are_the_strong_ones(tmp_path):
    with open_gallery(tmp_path / "shop.db", fingerprint=MODEL, dim=DIM) as gallery:
        assert gallery._file.db.execute("PRAGMA synchronous").fetchone() == (2,)
        assert sqlite3.sqlite_version_info >= (3, 37)
