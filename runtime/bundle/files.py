"""The files of a bundle on disk: read safely from a directory or a zip, and written completely or not at all."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.durable import sync_file, sync_folder
from runtime.errors import BundleCorrupt, BundleMissing

MAX_FILES = 1000  # of a bundle
MAX_ENTRY_BYTES = 512  # of a file's entry in the directory of a zip
MAX_ZIP_END = 22 + 65_535  # bytes of the record that ends a zip, with its comment
MAX_SMALL_BYTES, MAX_RATIO = 20_000_000, 20  # a zip may expand to the former and the latter times its size


def directory_reader(root: Path) -> Callable[[str, int], bytes]:
    """Return a function that reads a file by its name in the bundle, of at most so many bytes."""

    def read(name: str, limit: int) -> bytes:
        path = root / name
        try:
            if Path(os.path.realpath(path)) != Path(os.path.realpath(root)) / name:
                raise BundleCorrupt(
                    f"{path} must be a regular file in the bundle, but is a link; copy the bundle again"
                )
            with open(path, "rb", opener=_open_at_once) as file:
                info = os.fstat(file.fileno())
                if not stat.S_ISREG(info.st_mode) or info.st_size > limit:
                    raise BundleCorrupt(
                        f"{path} must be a regular file of at most {limit:,} bytes, but is not "
                        f"({info.st_size:,} bytes); copy the bundle again"
                    )
                return file.read(limit + 1)
        except OSError as error:
            raise BundleMissing(
                f"{path} must be readable, but: {error.strerror or error}; copy the bundle again"
            ) from error

    return read


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting, which a FIFO would otherwise do."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def zip_reader(path: Path) -> Callable[[str, int], bytes]:
    """Return a function that reads a member by its name in the bundle, of at most so many bytes and one more.

    The directory of the zip is read once, and bounded before that: zipfile would read any number of entries.
    """
    try:
        _check_directory_size(path)
        archive = zipfile.ZipFile(path)
        members = _members(archive, path.stat().st_size)
    except Exception as error:  # zipfile raises many different types for damaged files
        raise _no_zip(path, error) from error

    def read(name: str, limit: int) -> bytes:
        if name not in members:
            raise BundleMissing(f"{name} must be in {path}, but is not; copy the bundle again")
        try:
            with archive.open(members[name]) as member:
                # One byte more than declared, so that a longer member is cut off and then fails its digest.
                return member.read(limit + 1)
        except Exception as error:
            raise _no_zip(path, error) from error

    return read


def _no_zip(path: Path, why: Exception) -> BundleCorrupt:
    return BundleCorrupt(f"{path} must be the zip of a bundle, but cannot be read ({why}); copy it again")


def _check_directory_size(path: Path) -> None:
    """Raise BadZipFile unless the directory at the end of a zip is small enough for MAX_FILES files."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - MAX_ZIP_END))
        end = file.read()
    at = end.rfind(b"PK\5\6")
    if at < 0 or len(end) < at + 22:
        raise zipfile.BadZipFile("it has no directory")
    directory = int.from_bytes(end[at + 12 : at + 16], "little")
    if directory > MAX_FILES * MAX_ENTRY_BYTES:  # this is also what a 64-bit directory says
        raise zipfile.BadZipFile(f"its directory has {directory:,} bytes, more than {MAX_FILES} files need")


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the files of a bundle by their names in it; people zip the directory itself or its contents."""
    infos = archive.infolist()
    inflated = sum(info.file_size for info in infos)
    if len(infos) > MAX_FILES:
        raise zipfile.BadZipFile(f"it has {len(infos):,} files, and at most {MAX_FILES} are allowed")
    if inflated > MAX_SMALL_BYTES + MAX_RATIO * size:
        raise zipfile.BadZipFile(f"{size:,} bytes expand to {inflated:,}, which no model does")
    for info in infos:
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # only these are read in steps
            raise NotImplementedError(f"{info.filename} is compressed by another method than deflate")
    names = [info.filename for info in infos if PurePosixPath(info.filename).name == "manifest.json"]
    root = min(names, key=len, default="").removesuffix("manifest.json")
    return {info.filename.removeprefix(root): info for info in infos if info.filename.startswith(root)}


def write_files(files: Mapping[str, bytes], target: Path, *, zipped: bool) -> Path:
    """Write the files durably to a directory or a zip."""
    if zipped:
        with zipfile.ZipFile(target, "w") as archive:
            for name, data in files.items():
                info = zipfile.ZipInfo(name)  # has a fixed date, so that equal bundles give equal files
                info.external_attr = (stat.S_IFREG | 0o644) << 16  # else `unzip` creates files without read permission
                archive.writestr(info, data, zipfile.ZIP_DEFLATED)
        sync_file(target)
        return target
    for name, data in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        sync_file(path)
    for folder in {(target / name).parent for name in files} | {target}:
        sync_folder(folder)
    return target


def to_npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def from_npy(data: bytes, name: str) -> NDArray[Any]:
    """Read a version 1.0 .npy without trusting its header: np.load allocates whatever that announces."""
    try:
        stream = io.BytesIO(data)
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("its version is not 1.0")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        flat = np.frombuffer(data, dtype, offset=stream.tell())
        array: NDArray[Any] = flat.reshape(shape, order="F" if fortran else "C").copy()
        return array
    except Exception as error:  # numpy evaluates the header as Python, which fails in a dozen ways
        raise BundleCorrupt(f"{name} must be a plain .npy array ({error}); export the bundle again") from error
