"""Reads the format and the size of a picture from its first bytes, before a decoder sees it.

A decoder allocates what the header announces, and OpenCV has decoders for many formats that nobody sends. So a picture
of another format, or with too many pixels, is refused here. The content decides, not the name of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from runtime.errors import FrameError
from runtime.formats import PICTURES, VIDEOS, format_of, kind_of

# The most pixels of a picture that is decoded. OpenCV needs 6 bytes for each pixel, 9 if EXIF rotates the picture,
# 17 for an AVIF, and 5 more for a JPEG of several passes; so no picture takes more than 150 MB.
MAX_PIXELS = {
    **{"JPEG": 64_000_000, "JPEG of several passes": 20_000_000, "AVIF": 8_000_000},
    **dict.fromkeys(("PNG of 16 bits with transparency", "TIFF of 16 bits with transparency"), 8_000_000),
}
MAX_OTHER_PIXELS = 16_000_000  # of a PNG, WebP, BMP, TIFF or HEIC
# The most pixels of a JPEG that is decoded in full size. A larger one is decoded at half of its sides.
MAX_FULL_PIXELS = {"JPEG": 16_000_000, "JPEG of several passes": 12_000_000}


@dataclass(frozen=True)
class PictureHeader:
    """What the header of a picture says.

    Attributes:
        format: One of PICTURES.
        width: Width in pixels, before any rotation by EXIF.
        height: Height in pixels.
        passes: Whether a JPEG is progressive, or comes in several passes otherwise, which the decoder keeps all.
        alpha: Whether it may have transparent pixels. The fourth byte of a BMP is mostly unused.
        deep: Whether a number of it takes 16 bits.
    """

    format: str
    width: int
    height: int
    passes: bool = False
    alpha: bool = False
    deep: bool = False

    @property
    def kind(self) -> str:
        """The format, or one of the kinds that have limits of their own."""
        if self.alpha and self.deep:
            return f"{self.format} of 16 bits with transparency"
        return "JPEG of several passes" if self.passes else self.format

    @property
    def reduced(self) -> bool:
        """Whether the picture is to be decoded at half of its sides."""
        return self.width * self.height > MAX_FULL_PIXELS.get(self.kind, MAX_OTHER_PIXELS)


def read_header(data: bytes) -> PictureHeader:
    """Read the format and the size of a picture from its content, and decode nothing.

    Args:
        data: The whole file, or at least its beginning up to the size.

    Raises:
        FrameError: It is none of PICTURES, its header is damaged, or it has too many pixels.
    """
    format_ = format_of(data)
    if format_ not in PICTURES:
        found = f"is a {kind_of(format_)}" if format_ else f"of {len(data):,} bytes is none of them"
        advice = "name it as a source of its own" if format_ in VIDEOS else "save it as PNG or JPEG"
        raise FrameError(
            f"a picture must be a {', '.join(PICTURES[:-1])} or {PICTURES[-1]}, but this {found}; {advice}"
        )
    try:
        header = _READERS[format_](data)
    except (struct.error, IndexError, ValueError, KeyError) as error:
        raise FrameError(f"a {format_} must state its size, but its header is damaged; save it again") from error
    most = MAX_PIXELS.get(header.kind, MAX_OTHER_PIXELS)
    if min(header.width, header.height) < 1 or header.width * header.height > most:
        raise FrameError(
            f"a {header.kind} must have 1 to {most:,} pixels, but this one has {header.width:,} x {header.height:,}; "
            "reduce it first"
        )
    return header


def is_cut(data: bytes) -> bool:
    """Return whether a JPEG has no end; OpenCV 4.10 fills what is missing with grey, and says nothing."""
    return data[:2] == b"\xff\xd8" and _jpeg_end(data) is None


def is_motion_jpeg(data: bytes) -> bool:
    """Return whether a JPEG is followed by another one of its size: a video without a container.

    The preview or the gain map that phones append is smaller, or listed in a segment MPF.
    """
    end = _jpeg_end(data)
    if end is None or data[end : end + 3] != b"\xff\xd8\xff" or b"MPF\0" in data[: _jpeg_frame(data)[1]]:
        return False
    try:
        first, second = (read_header(part) for part in (data, data[end:]))
    except FrameError:
        return False
    return (first.width, first.height) == (second.width, second.height)


def _jpeg_end(data: bytes) -> int | None:
    """Return the position after the end marker that follows the first pixels; None if it is missing."""
    try:
        end = data.find(b"\xff\xd9", _jpeg_frame(data)[1])  # pixels never hold it; a preview before them may
    except (struct.error, IndexError, ValueError):
        return None
    return end + 2 if end >= 0 else None


def _jpeg_frame(data: bytes) -> tuple[PictureHeader, int]:
    """Return the only frame header before the pixels, and the position of the pixels."""
    at, frames = 2, []
    while True:
        while data[at] != 0xFF:  # decoders skip what is between two segments
            at += 1
        while data[at] == 0xFF:
            at += 1
        marker, at = data[at], at + 1
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            continue
        if marker in (0xD9, 0xDA):  # the end, or the pixels, of which one pass may hold some colours only
            break
        (length,) = struct.unpack_from(">H", data, at)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frames.append((marker, *struct.unpack_from(">HHB", data, at + 3)))
        at += max(length, 2)
    ((kind, height, width, colours),) = frames  # decoders differ in which of two they take
    return PictureHeader("JPEG", width, height, passes=kind not in (0xC0, 0xC1) or data[at + 2] < colours), at


def _png(data: bytes) -> PictureHeader:
    if data[12:16] != b"IHDR":
        raise ValueError("no IHDR")
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    alpha = colour in (4, 6) or data.find(b"tRNS", 0, data.find(b"IDAT")) >= 0
    return PictureHeader("PNG", width, height, alpha=alpha, deep=bits == 16)


def _bmp(data: bytes) -> PictureHeader:
    (header,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ii", data, 18)
    return PictureHeader("BMP", abs(width), abs(height))


def _webp(data: bytes) -> PictureHeader:
    kind = data[12:16]
    if kind == b"VP8X":  # the canvas, in 24-bit numbers
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        return PictureHeader("WebP", width, height, alpha=bool(data[20] & 0x10))
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return PictureHeader("WebP", 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), alpha=bool(bits >> 28 & 1))
    if kind != b"VP8 ":
        raise ValueError("no picture")
    width, height = struct.unpack_from("<HH", data, 26)
    return PictureHeader("WebP", width & 0x3FFF, height & 0x3FFF)


def _tiff(data: bytes) -> PictureHeader:
    """Read the first directory, which is the one that OpenCV decodes; in most camera raws it is a preview."""
    tags = _tiff_tags(data)
    if tags.get(NEW_SUBFILE_TYPE, 0) & 1:
        raise ValueError("a preview")
    alpha = tags.get(PHOTOMETRIC) == 2 and tags.get(SAMPLES) == 4
    return PictureHeader("TIFF", tags[WIDTH], tags[HEIGHT], alpha=alpha, deep=tags.get(BITS, 1) > 8)


TAGS = NEW_SUBFILE_TYPE, WIDTH, HEIGHT, BITS, PHOTOMETRIC, ORIENTATION, SAMPLES = 254, 256, 257, 258, 262, 274, 277


def _tiff_tags(data: bytes) -> dict[int, int]:
    """Return the numbers of the first directory of a TIFF, by tag; the first one where there are several."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    number, width = (order + "Q", 8) if big else (order + "I", 4)
    at = struct.unpack_from(number, data, width)[0]
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    at, step = at + (8 if big else 2), 4 + 2 * width
    tags: dict[int, int] = {}
    for entry in range(at, at + step * min(count, 4096), step):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        size, form = {3: (2, "H"), 4: (4, "I"), 16: (8, "Q")}.get(kind, (0, ""))
        if size and tag in TAGS:
            many = struct.unpack_from(number, data, entry + 4)[0] * size > width
            place = struct.unpack_from(number, data, entry + 4 + width)[0] if many else entry + 4 + width
            tags[tag] = max(struct.unpack_from(order + form, data, place)[0], tags.get(tag, 0))
    return tags


def orientation_of(data: bytes, header: PictureHeader) -> int:
    """Return how EXIF turns a PNG or WebP, as a number 1..8 of the TIFF standard; 1 is upright."""
    chunk = {"PNG": b"eXIf", "WebP": b"EXIF"}.get(header.format)
    if chunk is None or (at := data.find(chunk)) < 0:
        return 1
    block = data[at + 4 : at + 65_536]
    start = next((block.find(sign) for sign in (b"II*\0", b"MM\0*") if sign in block[:24]), 0)
    try:
        return _tiff_tags(block[start:]).get(ORIENTATION, 1)
    except (struct.error, IndexError):
        return 1


def _largest_ispe(format_: str, data: bytes) -> PictureHeader:
    """Read the largest of the `ispe` properties: a grid states its own size beside that of its tiles."""
    sizes, at = [], 0
    while (at := data.find(b"ispe", at, 1 << 20)) >= 0:
        sizes.append(struct.unpack_from(">II", data, at + 8))
        at += 4
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return PictureHeader(format_, width, height, alpha=b"auxl" in data[: 1 << 16])


_READERS: dict[str | None, Callable[[bytes], PictureHeader]] = {
    "JPEG": lambda data: _jpeg_frame(data)[0],
    "PNG": _png,
    "WebP": _webp,
    "BMP": _bmp,
    "TIFF": _tiff,
    "AVIF": partial(_largest_ispe, "AVIF"),
    "HEIC": partial(_largest_ispe, "HEIC"),
}
