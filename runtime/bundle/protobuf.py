"""Reads protocol-buffer messages without a schema: a flat list of (field, wire type, payload)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

MAX_FIELDS = 300_000  # of all messages of a file together; a network of 2,000 nodes has about 80,000
MAX_PACKED_BYTES = 4_000_000  # of a list of numbers that are stored one by one; weights are stored as they are


class Reader:
    """Reads the messages of one file, and refuses a file that would take long."""

    def __init__(self) -> None:
        self._left = MAX_FIELDS

    def fields(self, message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
        """Yield (field number, payload); nested messages are bytes. Raises IndexError for what is no message."""
        at = 0
        while at < len(message):
            self._left -= 1
            if self._left < 0:
                raise IndexError(f"it has more than {MAX_FIELDS:,} fields, which no network needs")
            key, at = _varint(message, at)
            if not 8 <= key < 1 << 32:  # parsers truncate longer keys and would then see another field
                raise IndexError(f"field key {key}")
            wire = key & 7
            if wire == 0:
                value, at = _varint(message, at)
                yield key >> 3, value
                continue
            if wire == 2:
                size, at = _varint(message, at)
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
            else:
                raise IndexError(f"wire type {wire}")
            if at + size > len(message):
                raise IndexError("a field runs past the end")
            yield key >> 3, message[at : at + size]
            at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise IndexError("a number of more than 10 bytes")


def integers(payload: int | memoryview) -> NDArray[np.int64]:
    """Return the whole numbers in a field: one, or a packed list. Raises IndexError or ValueError for anything else."""
    if isinstance(payload, int):
        return np.array([signed(payload)], np.int64)
    if len(payload) > MAX_PACKED_BYTES:
        raise ValueError(f"a list of numbers may have at most {MAX_PACKED_BYTES:,} bytes; store weights as raw data")
    if not len(payload):
        return np.zeros(0, np.int64)
    data = np.frombuffer(payload, np.uint8)
    ends = np.flatnonzero(data < 0x80)
    starts = np.concatenate([[0], ends + 1])[:-1]
    lengths = ends + 1 - starts
    if not len(ends) or ends[-1] != len(data) - 1 or lengths.max() > 10:
        raise IndexError("a list of numbers is cut off, or has one of more than 10 bytes")
    values = np.zeros(len(ends), np.uint64)
    for place in range(int(lengths.max())):
        there = lengths > place
        values[there] |= (data[starts[there] + place] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * place)
    return values.view(np.int64)


def signed(payload: int | memoryview) -> int:
    """Return a whole number, which is stored without its sign. Raises TypeError for a message."""
    if not isinstance(payload, int):
        raise TypeError("a message instead of a number")
    return (payload + (1 << 63)) % (1 << 64) - (1 << 63)


def as_bytes(payload: int | memoryview) -> memoryview:
    """Return a payload that is a message. Raises TypeError for a number."""
    if isinstance(payload, int):
        raise TypeError("a number instead of a message")
    return payload


def as_text(payload: int | memoryview) -> str:
    """Return a payload that is a text. Raises TypeError for a number, ValueError for bytes that are no UTF-8."""
    return str(as_bytes(payload), "utf-8")
