"""Reads SQLite's write-ahead log (WAL) without SQLite, and recognises one that belongs to another file.

SQLite applies any WAL that has the right name. A WAL that was left beside a gallery when its file was replaced by a
backup would be mixed into the backup. Every transaction of a gallery stores a random state id with the id of the state
before it (`runtime/gallery/recovery/totals.py`), so the WAL belongs to the file exactly if the state of the file is one
that the WAL starts from or leads to.

The format is described in https://www.sqlite.org/fileformat2.html#the_write_ahead_log.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from runtime.gallery.recovery.totals import ID_BYTES, MAGIC

HEADER, FRAME_HEADER = 32, 24
_MAGICS = (0x377F0682, 0x377F0683)  # the second has big-endian checksums


class Frame(NamedTuple):
    """One page in a WAL."""

    page: int
    commits: bool  # whether a transaction ends with it
    data: bytes


def wal_path(path: Path) -> Path:
    """Return the path of the WAL of a gallery."""
    return path.with_name(f"{path.name}-wal")


def committed_frames(path: Path) -> Iterator[Frame]:
    """Yield the frames of complete transactions in a WAL, as SQLite's own recovery finds them."""
    pending: list[Frame] = []
    checksum: tuple[int, int] | None = None
    for frame, header, (order, start) in _frames(path):
        checksum = _checksum(header[:8] + frame.data, order, checksum or start)
        if checksum != struct.unpack(">II", header[16:24]):
            return
        pending.append(frame)
        if frame.commits:
            yield from pending
            pending.clear()


def committed_pages(path: Path) -> dict[int, bytes]:
    """Return the newest committed content of each page in a WAL."""
    return {frame.page: frame.data for frame in committed_frames(path)}


def belongs(path: Path, state: bytes) -> bool:
    """Return whether a WAL may be applied to a gallery file that is in this state.

    Args:
        path: The WAL.
        state: The state id in the file itself, without the WAL.
    """
    known: set[bytes] = set()
    for frame in committed_frames(path):
        at = frame.data.find(MAGIC)
        if at >= 0:
            before = at + len(MAGIC)
            known |= {frame.data[before : before + ID_BYTES], frame.data[before + ID_BYTES : before + 2 * ID_BYTES]}
    return not known or state in known


def _frames(path: Path) -> Iterator[tuple[Frame, bytes, tuple[str, tuple[int, int]]]]:
    """Yield (frame, its header, (byte order of checksums, checksum of the header of the file))."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    if len(data) < HEADER:
        return
    magic, _, size = struct.unpack(">III", data[:12])
    if magic not in _MAGICS or size not in (1 << power for power in range(9, 17)):
        return
    order = ">" if magic & 1 else "<"
    start = _checksum(data[:24], order, (0, 0))
    for at in range(HEADER, len(data) - FRAME_HEADER - size + 1, FRAME_HEADER + size):
        header = data[at : at + FRAME_HEADER]
        if header[8:16] != data[16:24]:  # a frame of an earlier generation
            return
        page, commit = struct.unpack(">II", header[:8])
        yield Frame(page, commit > 0, data[at + FRAME_HEADER : at + FRAME_HEADER + size]), header, (order, start)


def _checksum(data: bytes, order: str, start: tuple[int, int]) -> tuple[int, int]:
    one, two = start
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for i in range(0, len(words), 2):
        one = (one + words[i] + two) & 0xFFFFFFFF
        two = (two + words[i + 1] + one) & 0xFFFFFFFF
    return one, two
