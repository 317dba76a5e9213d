"""Reads the format and the size of a picture from its first bytes, before a decoder sees it.

A decoder allocates what the header announces, and OpenCV has decoders for many formats that nobody sends. So a picture
of another format, or with too many pixels, is refused here. The content decides, not the name of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runtime.errors import FrameError

FORMATS = ("JPEG", "PNG", "WebP", "BMP", "TIFF", "AVIF")
# The most pixels of a picture that is decoded. OpenCV needs 6 bytes for each pixel, 9 if EXIF rotates the picture,
# 17 for an AVIF, and 5 more for a JPEG of several passes; so no picture takes more than 150 MB.
MAX_PIXELS = {"JPEG": 64_000_000, "JPEG of several passes": 20_000_000, "AVIF": 8_000_000}
MAX_OTHER_PIXELS = 16_000_000  # of a PNG, WebP, BMP or TIFF
# The most pixels of a JPEG that is decoded in full size. A larger one is decoded at half of its sides.
MAX_FULL_PIXELS = {"JPEG": 16_000_000, "JPEG of several passes": 12_000_000}


@dataclass(frozen=True)
class PictureHeader:
    """What the header of a picture says.

    Attributes:
        format: One of FORMATS.
        width: Width in pixels, before any rotation by EXIF.
        height: Height in pixels.
        passes: Whether a JPEG is progressive, or comes in several passes otherwise, which the decoder keeps all.
    """

    format: str
    width: int
    height: int
    passes: bool = False

    @property
    def kind(self) -> str:
        """The format, or "JPEG of several passes", which has limits of its own."""
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
        FrameError: It is none of FORMATS, its header is damaged, or it has too many pixels.
    """
    for format_, (is_format, read_size) in _READERS.items():
        if not is_format(data):
            continue
        try:
            header = PictureHeader(format_, *read_size(data))
        except (struct.error, IndexError, ValueError, KeyError) as error:
            raise FrameError(f"a {format_} must state its size, but its header is damaged; save it again") from error
        most = MAX_PIXELS.get(header.kind, MAX_OTHER_PIXELS)
        if min(header.width, header.height) < 1 or header.width * header.height > most:
            raise FrameError(
                f"a {header.kind} must have 1 to {most:,} pixels, but this one has {header.width:,} x "
                f"{header.height:,}; reduce it first"
            )
        return header
    raise FrameError(
        f"a picture must be a {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, but its {len(data):,} bytes are none of them"
    )


def _jpeg_size(data: bytes) -> tuple[int, int, bool]:
    """Return (width, height, whether in several passes) from the only frame header before the pixels."""
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
    return width, height, kind not in (0xC0, 0xC1) or data[at + 2] < colours


def _png_size(data: bytes) -> tuple[int, int]:
    if data[12:16] != b"IHDR":
        raise ValueError("no IHDR")
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _bmp_size(data: bytes) -> tuple[int, int]:
    (header,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ii", data, 18)
    return abs(width), abs(height)


def _webp_size(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":  # the canvas, in 24-bit numbers
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind != b"VP8 ":
        raise ValueError("no picture")
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _tiff_size(data: bytes) -> tuple[int, int]:
    """Return (width, height) of the first directory, which is the one that OpenCV decodes."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    at = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    at, step = at + (8 if big else 2), 20 if big else 12
    sizes: dict[int, int] = {}
    for entry in range(at, at + step * min(count, 4096), step):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if tag in (256, 257):
            value = struct.unpack_from(order + {3: "H", 4: "I", 16: "Q"}[kind], data, entry + (12 if big else 8))[0]
            sizes[tag] = max(value, sizes.get(tag, 0))
    return sizes[256], sizes[257]


def _avif_size(data: bytes) -> tuple[int, int]:
    """Return the largest of the `ispe` properties: a grid states its own size beside that of its tiles."""
    sizes, at = [], 0
    while (at := data.find(b"ispe", at, 1 << 20)) >= 0:
        sizes.append(struct.unpack_from(">II", data, at + 8))
        at += 4
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return width, height


def _is_avif(data: bytes) -> bool:
    brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    return data[4:8] == b"ftyp" and any(brands[at : at + 4] in (b"avif", b"avis") for at in range(0, len(brands), 4))


_READERS: dict[str, tuple[Callable[[bytes], bool], Callable[[bytes], tuple[Any, ...]]]] = {
    "JPEG": (lambda data: data[:3] == b"\xff\xd8\xff", _jpeg_size),
    "PNG": (lambda data: data[:8] == b"\x89PNG\r\n\x1a\n", _png_size),
    "WebP": (lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP", _webp_size),
    "BMP": (lambda data: data[:2] == b"BM", _bmp_size),
    "TIFF": (lambda data: data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), _tiff_size),
    "AVIF": (_is_avif, _avif_size),
}
