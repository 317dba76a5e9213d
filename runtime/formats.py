"""The formats of pictures and videos by their first bytes: the one table for every way in.

The name of a file decides nothing here: a phone names a HEIC `.jpg`, and a damaged picture is still called `.png`.
FFmpeg opens far more than videos (icons, playlists, text), so it is given only what this table calls a video.
"""

from __future__ import annotations

from pathlib import Path

HEAD = 512  # bytes that tell the format
PICTURES = ("JPEG", "PNG", "WebP", "BMP", "TIFF", "AVIF", "HEIC")
VIDEOS = ("GIF", "AVI", "Matroska", "MP4", "MPEG", "FLV", "WMV", "Ogg", "Y4M", "IVF", "NUT", "MXF", "H.264 or H.265")
BOXES = (b"ftyp", b"moov", b"moof", b"mdat", b"mfra", b"sidx", b"free", b"skip", b"wide", b"uuid", b"meta", b"udta")
_BRANDS = {
    "AVIF": (b"avif", b"avis"),
    "HEIC": (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"),  # mif1: an AVIF may have it too
}
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # bytes of the header that follows the file header
# Format, position, and what stands there; the first that fits. Some have a name only to be told what they are.
_SIGNS: tuple[tuple[str, int, tuple[bytes, ...]], ...] = (
    ("JPEG", 0, (b"\xff\xd8\xff",)),
    ("PNG", 0, (b"\x89PNG\r\n\x1a\n",)),
    ("WebP", 8, (b"WEBP",)),
    ("TIFF", 0, (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    ("GIF", 0, (b"GIF8",)),
    ("AVI", 8, (b"AVI ",)),
    ("Matroska", 0, (b"\x1aE\xdf\xa3",)),
    ("MP4", 4, BOXES),
    ("MPEG", 0, (b"\0\0\1\xba", b"\0\0\1\xb3", b"\0\0\1\xb0", b"\0\0\1\xb5", b"\0\0\1\0\0\0\1")),
    ("FLV", 0, (b"FLV\1",)),
    ("WMV", 0, (b"0&\xb2u\x8ef\xcf\x11",)),
    ("Ogg", 0, (b"OggS",)),
    ("Y4M", 0, (b"YUV4MPEG2",)),
    ("IVF", 0, (b"DKIF",)),
    ("NUT", 0, (b"nut/multimedia container",)),
    ("MXF", 0, (b"\x06\x0e+4\x02\x05\1\1",)),
    ("ICO", 0, (b"\0\0\1\0", b"\0\0\2\0")),
    ("H.264 or H.265", 0, (b"\0\0\0\1", b"\0\0\1")),
    ("PSD", 0, (b"8BPS",)),
    ("JPEG 2000", 4, (b"jP  \r\n\x87\n",)),
    ("JPEG XL", 0, (b"\xff\x0a", b"\0\0\0\x0cJXL ")),
    ("OpenEXR", 0, (b"v/1\1",)),
    ("PDF", 0, (b"%PDF-",)),
    ("PNM", 0, tuple(b"P%d\n" % kind for kind in range(1, 8))),
)


def format_of(data: bytes) -> str | None:
    """Return the format of a file that begins with these bytes; None if the table has no such format."""
    if data[4:8] == b"ftyp":
        brands = {data[at : at + 4] for at in range(8, min(int.from_bytes(data[:4], "big"), HEAD), 4)}
        return next((name for name, own in _BRANDS.items() if brands & set(own)), "MP4")
    if data[:2] == b"BM" and (len(data) < 18 or int.from_bytes(data[14:18], "little") in _BMP_HEADERS):
        return "BMP"
    if any(data[at::packet][:2] == b"GG" for at, packet in ((0, 188), (4, 192))):
        return "MPEG"  # a transport stream: packets that begin with G, on a disc with the time before each
    return next((name for name, at, signs in _SIGNS if data[at : at + 32].startswith(signs)), None)


def format_of_file(path: Path) -> str | None:
    """Return the format of a file, see `format_of`. Raises OSError."""
    with path.open("rb") as file:
        return format_of(file.read(HEAD))


def kind_of(format_: str | None) -> str:
    """Return what a file is that is no picture, in a word or two."""
    return f"video ({format_})" if format_ in VIDEOS else format_ or "other file"
