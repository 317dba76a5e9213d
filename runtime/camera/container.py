"""Checks whether a video file is complete, first by the number of bytes that its header announces.

Frame counts are often estimates: `CAP_PROP_FRAME_COUNT` is exact for MP4 and AVI, whose headers count frames; it is
duration x rate for Matroska, WebM and MPEG-TS; and for GIF it is what FFmpeg finds by scanning, so a cut GIF announces
fewer. A complete file can decode to fewer frames than announced (edit lists, dropped frames, sound that is longer than
the picture), and a cut file can decode to all of them, with the last one damaged. In measurements on MP4, AVI, GIF, MKV
and WebM, complete and cut at 20 to 99.9 %, only the number of bytes told them apart every time. The frame count decides
where the bytes exist but are empty, as after a download that did not finish. MPEG-TS announces nothing, so a cut file
cannot be detected.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from runtime.formats import BOXES


def is_cut(path: Path, read: int, announced: float, read_s: float, fps: float | None) -> bool:
    """Return whether a video ended early, after `read` of `announced` frames, the last one at `read_s` seconds."""
    announced_s = announced / fps if fps else 0.0
    ends_early = announced_s - read_s > max(1.0, 0.05 * announced_s)  # the sound may be up to a second longer
    return missing_bytes(path) > 0 or (read < announced and ends_early)


def missing_bytes(path: Path) -> int:
    """Return how many of the bytes that an MP4, AVI, Matroska or GIF announces are missing; 0 for other files."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(128)
        if head[8:12] == b"AVI ":
            end = _riff_end(head)
        elif head[4:8] in BOXES:
            end = _iso_media_end(file, size)
        elif head[:4] == b"\x1aE\xdf\xa3":
            end = _matroska_end(head)
        elif head[:4] == b"GIF8":
            file.seek(-1, os.SEEK_END)
            end = size + (file.read() != b";")  # the last byte of a complete GIF
        else:
            end = 0
    return max(0, end - size)


def _riff_end(head: bytes) -> int:
    """Return the announced length of an AVI, to within 8 bytes; 0 for a live recording."""
    length = int.from_bytes(head[4:8], "little")
    return 0 if length == 0xFFFFFFFF else length


def _iso_media_end(file: BinaryIO, size: int) -> int:
    """Return the announced end of the last top-level box of an MP4 or MOV; past the file's end if there is no index."""
    at = 0
    has_index = False
    while at < size:
        file.seek(at)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if kind not in BOXES:  # appended data does not belong to the video
            break
        has_index |= kind in (b"moov", b"moof")
        if length == 1:  # a 64-bit length follows
            length = int.from_bytes(header[8:16], "big")
        if length < 8:  # 0 means to the end of the file
            break
        at += length
    return at if has_index else max(at, size + 1)  # without its index the data cannot be played


def _matroska_end(head: bytes) -> int:
    """Return the announced end of the Segment, which follows the EBML header; 0 for a live recording."""
    try:
        length, at = _vint(head, 4)
        at += length
        if head[at : at + 4] != b"\x18S\x80g":
            return 0
        length, start = _vint(head, at + 4)
    except IndexError:  # the header is longer than the 128 bytes that were read
        return 0
    unknown = (1 << 7 * (start - at - 4)) - 1
    return 0 if length == unknown else start + length


def _vint(data: bytes, at: int) -> tuple[int, int]:
    """Read an EBML number, whose leading zero bits give its length. Return the number and the position after it."""
    width = 9 - data[at].bit_length()
    return int.from_bytes(data[at : at + width], "big") & ((1 << 7 * width) - 1), at + width
