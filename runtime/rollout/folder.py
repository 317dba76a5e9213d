"""A folder of files: on this machine, or on an HTTP server that also takes PUT where something is to be written."""

from __future__ import annotations

import http.client
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

from runtime.durable import write_file
from runtime.errors import OptionError
from runtime.rollout.index import NAME, Index
from runtime.rollout.place import CHUNK, Absent, Place, Unreachable, empty

TIMEOUT_S = 10.0  # for a server to go on
_FAILED = (OSError, http.client.HTTPException)
_ABSENT = (403, 404, 410)  # 403: stores of objects that do not list what they hold


class Folder(Place):
    """A folder.

    Args:
        where: A path, or an http:// or https:// address.

    Raises:
        OptionError: It is neither.
    """

    def __init__(self, where: str) -> None:
        super().__init__(where.rstrip("/") or where)
        self._remote = "://" in where
        if self._remote and (urlsplit(where).scheme not in ("http", "https") or not urlsplit(where).hostname):
            raise OptionError(
                "A rollout must be in a folder: a path or an http:// or https:// address, or in the database of a "
                f"site: postgresql://USER@HOST/DATABASE, but is at {where.partition('://')[0]}://…"
            )

    def read(self, name: str, limit: int) -> bytes:
        """Return a file of at most `limit` bytes. Raises Absent or Unreachable."""
        try:
            with self._open(name, 0) as source:
                data = bytes(source.read(limit + 1))
        except _FAILED as error:
            raise self._unreachable(name, error) from error
        if len(data) > limit:
            raise self._too_long(name, limit)
        return data

    def read_all(self, folder: str, limit: int) -> list[bytes]:
        """Return the files in a folder of a local folder; a server cannot be asked for them."""
        path, found = Path(self._path(folder)), []
        for name in sorted(one.name for one in path.iterdir()) if not self._remote and path.is_dir() else []:
            with suppress(Unreachable):
                found.append(self.read(f"{folder}/{name}", limit))
        return found

    def write(self, name: str, data: bytes) -> None:
        """Write a file. Raises Unreachable."""
        try:
            if self._remote:
                request = urllib.request.Request(self._path(name), data, method="PUT")
                urllib.request.urlopen(request, timeout=TIMEOUT_S).close()  # nosec B310 - the scheme was checked
            else:
                write_file(Path(self._path(name)), data)
        except _FAILED as error:
            raise self._unreachable(name, error) from error

    def publish(
        self,
        index: Index,
        signed: bytes,
        bundle: bytes,
        replaced: bytes | None,  # noqa: ARG002 - a folder cannot compare and replace a file in one step
    ) -> None:
        """Write a bundle, and then the index that names it. Raises Unreachable."""
        self.write(index.release.file, bundle)
        self.write(NAME, signed)

    def _go_on(self, name: str, file: BinaryIO, size: int, stopped: Callable[[], bool]) -> None:
        try:
            with self._open(name, file.tell()) as source:
                if self._remote and source.status != 206:  # the server sends the whole file
                    empty(file)
                while file.tell() <= size and not stopped() and (data := source.read(CHUNK)):
                    file.write(data)
        except _FAILED as error:
            raise self._unreachable(name, error) from error

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
        absent = isinstance(error, FileNotFoundError) or getattr(error, "code", None) in _ABSENT
        kind = Absent if absent else Unreachable
        return kind(f"{self._path(name)} cannot be reached: {why}; trying again later")
