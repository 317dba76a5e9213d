"""Where a rollout lies: a folder (`folder.py`) or the database of a site (`site.py`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from runtime.durable import put_in_place, sync_file
from runtime.errors import BundleCorrupt, BundleMissing
from runtime.rollout.index import Index

CHUNK = 1 << 20


class Unreachable(BundleMissing):
    """A file of the place cannot be read or written now."""


class Absent(Unreachable):
    """The place answers, but it has no such file, or a longer one than it may be."""


class Place(ABC):
    """A place with files. Every call of the abstract methods raises Unreachable if it cannot be done now.

    Args:
        where: Names the place in messages; it holds no password.
    """

    def __init__(self, where: str) -> None:
        self.where = where

    @abstractmethod
    def read(self, name: str, limit: int) -> bytes:
        """Return a file of at most `limit` bytes. Raises Absent."""

    @abstractmethod
    def read_all(self, folder: str, limit: int) -> list[bytes]:
        """Return the files of a folder, in the order of their names, without those of more than `limit` bytes."""

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Write a small file."""

    @abstractmethod
    def publish(self, index: Index, signed: bytes, bundle: bytes, replaced: bytes | None) -> None:
        """Write a bundle, and then the index that names it.

        Args:
            index: What is published.
            signed: The file of the index.
            bundle: The zip of `index.release`.
            replaced: The file of the index that was read before; None if there was none.
        """

    @abstractmethod
    def _go_on(self, name: str, file: BinaryIO, size: int, stopped: Callable[[], bool]) -> None:
        """Append to `file` what it lacks of a file of `size` bytes, as far as that comes."""

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
                    empty(file)
                if file.tell() < size:
                    self._go_on(name, file, size, stopped)
        except Unreachable:
            raise
        except OSError as error:
            raise Unreachable(f"{part} cannot be written: {error.strerror or error}; free some space") from error
        if (came := part.stat().st_size) < size:
            raise Unreachable(f"{self._path(name)} must have {size:,} bytes, but {came:,} came; trying again later")
        if _sha256(part) != digest:
            part.unlink()
            raise BundleCorrupt(f"{self._path(name)} must match its sha256 in the index, but is damaged; publish again")
        sync_file(part)
        put_in_place(part, target)

    def _path(self, name: str) -> str:
        return f"{self.where}/{name}"

    def _too_long(self, name: str, limit: int) -> Absent:
        return Absent(f"{self._path(name)} must have at most {limit:,} bytes, but has more; publish again")


def empty(file: BinaryIO) -> None:
    """Delete what a file holds."""
    file.seek(0)
    file.truncate()


def _sha256(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            digest.update(data)
    return digest.hexdigest()
