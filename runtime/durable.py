"""Writes files so that a power loss or a killed process leaves the old content or the new content, complete."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


def sync_file(path: Path) -> None:
    """Write a file to the medium before it is renamed; else a power loss can leave an empty file of that name."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Write the entries of a folder to the medium, so that a rename in it survives a power loss."""
    if os.name == "nt":  # Windows cannot open a folder
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, data: bytes | memoryview) -> None:
    """Write a whole file or nothing, and create its folder. Raises OSError; the old file is unchanged then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def put_in_place(made: Path, path: Path) -> None:
    """Rename a file or a folder to `path`, where another one may be, which is deleted.

    At every moment `path`, or `replaced(path)` where the system cannot exchange two names, is complete.
    """
    old = replaced(path)
    if not path.is_dir() and not (made.is_dir() and path.exists()):
        made.replace(path)
    elif _exchange(made, path):
        old = made
    else:
        _delete(old)
        path.rename(old)
        try:
            made.rename(path)
        except OSError:
            old.rename(path)
            raise
    sync_folder(path.parent)
    _delete(old)


def replaced(path: Path) -> Path:
    """Return where the old folder is for the moment in which `path` does not exist."""
    return path.with_name(f".{path.name}.replaced")


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step by renameat2(2). Returns False where the system or the file system cannot."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    names = _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other)
    return bool(call(*names, ctypes.c_uint(_RENAME_EXCHANGE)) == 0)


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
