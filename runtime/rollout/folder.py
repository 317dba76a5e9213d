"""A folder of files: on this machine, or on an HTTP server that also takes PUT where something is to be written."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

from runtime.durable import put_in_place, sync_file, write_file
from runtime.errors import BundleCorrupt, BundleMissing, OptionError

TIMEOUT_S = 10.0  # for a server to go on
CHUNK = 1 << 20


class Unreachable(BundleMissing):
    """A file of the folder cannot be read or written now."""


class Folder:
    """A folder.

    Args:
        where: A path, or an http:// or https:// address.

    Raises:
        OptionError: It is neither.
    """

    def __init__(self, where: str) -> None:
        self.where = where.rstrip("/") or where
        self._remote = "://" in where
        if self._remote and (urlsplit(where).scheme not in ("http", "https") or not urlsplit(where).hostname):
            raise OptionError(f"The folder must be a path or an http:// or https:// address, but is {where!r}")

    def read(self, name: str, limit: int) -> bytes:
        """Return a file of at most `limit` bytes. Raises Unreachable."""
        try:
            with self._open(name, 0) as source:
                data = bytes(source.read(limit + 1))
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(name, error) from error
        if len(data) > limit:
            raise Unreachable(f"{self._path(name)} must have at most {limit:,} bytes, but has more; publish again")
        return data

    def write(self, name: str, data: bytes) -> None:
        """Write a file. Raises Unreachable."""
        try:
            if self._remote:
                request = urllib.request.Request(self._path(name), data, method="PUT")
                urllib.request.urlopen(request, timeout=TIMEOUT_S).close()  # nosec B310 - the scheme was checked
            else:
                write_file(Path(self._path(name)), data)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(name, error) from error

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder of a local folder; a server cannot be asked for them."""
        found = Path(self._path(folder))
        return sorted(path.name for path in found.iterdir()) if not self._remote and found.is_dir() else []

    def fetch(self, name: str, target: Path, size: int, digest: str, stopped: Callable[[], bool]) -> None:
        """Copy a file to `target`, and go on where an earlier attempt ended.

        Args:
            name: The file.
            target: Where it goes when it is whole; until then it is `target` with the ending .part.
            size: Its size.
            digest: Its sha256.
            stopped: Asked for every chunk; True ends the attempt.

        Raises:
            Unreachable: It could not be read to its end; the next attempt goes on there.
            BundleCorrupt: It has another digest; the next attempt begins anew.
        """
        part = target.with_name(f"{target.name}.part")
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("ab") as file:
                if file.tell() > size:
                    _empty(file)
                if file.tell() < size:
                    self._go_on(name, file, size, stopped)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(name, error) from error
        if (came := part.stat().st_size) < size:
            raise Unreachable(f"{self._path(name)} must have {size:,} bytes, but {came:,} came; trying again later")
        if _sha256(part) != digest:
            part.unlink()
            raise BundleCorrupt(f"{self._path(name)} must match its sha256 in the index, but is damaged; publish again")
        sync_file(part)
        put_in_place(part, target)

    def _go_on(self, name: str, file: BinaryIO, size: int, stopped: Callable[[], bool]) -> None:
        with self._open(name, file.tell()) as source:
            if self._remote and source.status != 206:  # the server sends the whole file
                _empty(file)
            while file.tell() <= size and not stopped() and (data := source.read(CHUNK)):
                file.write(data)

    def _open(self, name: str, start: int) -> Any:
        """Open a file for reading from a position on."""
        if self._remote:
            request = urllib.request.Request(self._path(name), headers={"Range": f"bytes={start}-"} if start else {})
            return urllib.request.urlopen(request, timeout=TIMEOUT_S)  # nosec B310 - the scheme was checked
        file = Path(self._path(name)).open("rb")  # noqa: SIM115 - the caller closes it
        file.seek(start)
        return file

    def _path(self, name: str) -> str:
        return f"{self.where}/{quote(name) if self._remote else name}"

    def _unreachable(self, name: str, error: Exception) -> Unreachable:
        why = getattr(error, "strerror", None) or error
        return Unreachable(f"{self._path(name)} cannot be reached: {why}; trying again later")


def _empty(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate()


def _sha256(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            digest.update(data)
    return digest.hexdigest()
