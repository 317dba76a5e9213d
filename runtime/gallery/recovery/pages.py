"""Reads the rows on the pages of a damaged SQLite file without SQLite.

Nothing but the rows is trusted: neither the first page, nor which page leads to which. Every row of a gallery has a
digest, so whatever looks like a row can be read and then verified.

The format is described in https://www.sqlite.org/fileformat2.html#b_tree_pages.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

PAGE = 4096  # SQLite's default, with which galleries are created
LEAF = 0x0D
LARGEST_LOCAL = PAGE - 35  # bytes of a row that are on its own page
_SMALLEST_LOCAL = (PAGE - 12) * 32 // 255 - 23
_LARGEST_ROW = 1 << 28
_INTEGER_SIZES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)
# The header of a row starts with its own length; then NULL stands for the id, or the length of a name follows.
_HEADERS = re.compile(rb"(?=[\x03-\x28]\x00|[\x04-\x05][\x0d-\x7f][\x00-\x09])")

Value = bytes | int | float | None


class Row(NamedTuple):
    """What looks like a row. Text and blobs are bytes."""

    id: int
    values: tuple[Value, ...]
    at: int  # where its header starts on its page
    cell: int  # where its cell starts, with the length of the row and the id


class Pages:
    """The pages of a file, with the committed pages of its WAL in their place."""

    def __init__(self, path: Path, wal: Mapping[int, bytes]) -> None:
        self._wal = {page: data for page, data in wal.items() if len(data) == PAGE}
        with path.open("rb") as file:
            size = path.stat().st_size
            self._file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        self.count = max([-(-size // PAGE), *self._wal])

    def __getitem__(self, page: int) -> bytes:
        data = self._wal.get(page) or self._file[(page - 1) * PAGE : page * PAGE]
        return data.ljust(PAGE, b"\0")  # the last page of a truncated file

    def listed(self, page: int) -> Iterator[Row | int]:
        """Yield the rows that a page lists; for one that cannot be read, where it should be on the page."""
        data, start = self[page], 100 if page == 1 else 0
        (count,) = struct.unpack_from(">H", data, start + 3)
        if data[start] != LEAF or start + 8 + 2 * count > PAGE:
            return
        for (at,) in struct.iter_unpack(">H", data[start + 8 : start + 8 + 2 * count]):
            yield self.row(data, at) or at

    def row(self, data: bytes, at: int) -> Row | None:
        """Read the row whose cell is at this place of a page; None if there is none."""
        try:
            _, place = _varint(data, at)
            id_, place = _varint(data, place)
            return self._row(data, id_, place, at)
        except (IndexError, struct.error):
            return None

    def anywhere(self, page: int) -> Iterator[Row]:
        """Yield whatever looks like a row on a page, without regard to what the page lists."""
        data = self[page]
        for match in _HEADERS.finditer(data):
            for length in range(1, 4):
                at = match.start() - length
                try:
                    id_, end = _varint(data, at)
                    row = self._row(data, id_, match.start(), at) if at > 0 and end == match.start() else None
                except (IndexError, struct.error):
                    row = None
                if row is not None:
                    yield row

    def overflow(self, data: bytes, row: Row) -> Iterator[int]:
        """Yield the pages on which a row continues."""
        try:
            _, length, local = _layout(data, row.at)
        except (IndexError, struct.error):
            return
        at, left = row.at + local, length - local
        while left > 0:
            (page,) = struct.unpack_from(">I", data, at)
            if not 1 < page <= self.count:
                return
            yield page
            data, at, left = self[page], 0, left - (PAGE - 4)

    def again(self, page: int, id_: int, at: int) -> Row | None:
        """Read a row that was found before."""
        return self._row(self[page], id_, at, at)

    def _row(self, data: bytes, id_: int, at: int, cell: int) -> Row | None:
        types, length, local = _layout(data, at)
        if length > _LARGEST_ROW or not 2 <= len(types) <= 10 or at + local > PAGE:
            return None
        payload = [data[at : at + local]]
        if local < length:
            payload += [self[page][4:] for page in self.overflow(data, Row(id_, (), at, cell))]
        content = b"".join(payload)[:length]
        return Row(id_, _values(content, types), at, cell) if len(content) == length else None


def _layout(data: bytes, at: int) -> tuple[list[int], int, int]:
    """Return (serial types, length of the row, how much of it is on its own page) for a header at this place."""
    header, place = _varint(data, at)
    end, types = at + header, []
    while place < end:
        type_, place = _varint(data, place)
        types.append(type_)
    if place != end or any(10 <= type_ < 12 for type_ in types):
        raise IndexError
    length = header + sum(_size(type_) for type_ in types)
    if length <= LARGEST_LOCAL:
        return types, length, length
    local = _SMALLEST_LOCAL + (length - _SMALLEST_LOCAL) % (PAGE - 4)
    return types, length, local if local <= LARGEST_LOCAL else _SMALLEST_LOCAL


def _size(type_: int) -> int:
    return (type_ - 12) // 2 if type_ >= 12 else _INTEGER_SIZES[type_]


def _values(content: bytes, types: list[int]) -> tuple[Value, ...]:
    at, values = _varint(content, 0)[0], list[Value]()
    for type_ in types:
        raw = content[at : at + _size(type_)]
        at += len(raw)
        if type_ == 0:
            values.append(None)
        elif type_ == 7:
            values.append(float(struct.unpack(">d", raw)[0]))
        elif type_ < 10:
            values.append(type_ - 8 if type_ >= 8 else int.from_bytes(raw, "big", signed=True))
        else:
            values.append(raw)
    return tuple(values)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of 1 to 9 bytes and the place after it."""
    if at < 0:
        raise IndexError
    value = 0
    for place in range(at, at + 8):
        byte = data[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    return value << 8 | data[at + 8], at + 9
