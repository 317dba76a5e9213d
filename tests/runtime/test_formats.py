"""Formats are told by content: pictures, videos, and what is neither."""

import pytest

from runtime.formats import PICTURES, VIDEOS, format_of, format_of_file, kind_of


def ftyp(*brands):
    return (8 + 4 * len(brands) + 4).to_bytes(4, "big") + b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])


HEADS = {
    "JPEG": [b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xe1"],
    "PNG": [b"\x89PNG\r\n\x1a\n"],
    "WebP": [b"RIFF\0\0\0\0WEBP"],
    "BMP": [b"BM", b"BM" + bytes(12) + (40).to_bytes(4, "little")],
    "TIFF": [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"],
    "AVIF": [ftyp(b"avif", b"mif1"), ftyp(b"mif1", b"avif", b"heic"), ftyp(b"avis", b"msf1")],
    "HEIC": [ftyp(b"heic", b"mif1"), ftyp(b"mif1", b"heic"), ftyp(b"msf1", b"hevc"), ftyp(b"heix", b"mif1")],
    "MP4": [ftyp(b"isom", b"iso2"), ftyp(b"qt  ", b"qt  "), b"\0\0\0\x08wide", b"\0\0\0\x10moov"],
    "GIF": [b"GIF87a", b"GIF89a"],
    "AVI": [b"RIFF\0\0\0\0AVI LIST"],
    "Matroska": [b"\x1aE\xdf\xa3"],
    "MPEG": [
        *(b"\0\0\1\xba", b"\0\0\1\xb3", b"\0\0\1\0\0\0\1\x20"),
        *(b"G" + bytes(187) + b"G", bytes(4) + b"G" + bytes(191) + b"G"),
    ],
    "H.264 or H.265": [b"\0\0\0\1\x67", b"\0\0\1\x67", b"\0\0\0\1\x40\x01"],
    "ICO": [b"\0\0\1\0\1\0\x10\x10"],
    "JPEG XL": [b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"],
    "JPEG 2000": [b"\0\0\0\x0cjP  \r\n\x87\n"],
    "PDF": [b"%PDF-1.7"],
    None: [
        b"",
        b"B",
        b"BMW is a company of many words",
        b"path,label\n",
        b"#EXTM3U\nhttp://host/",
        b"ffconcat version 1",
    ],
}


@pytest.mark.parametrize(("format_", "head"), [(name, head) for name, heads in HEADS.items() for head in heads])
def test_a_format_is_told_by_its_first_bytes(tmp_path, format_, head):
    (tmp_path / "named.png").write_bytes(head)
    assert format_of(head) == format_ == format_of_file(tmp_path / "named.png")


def test_no_beginning_of_a_file_raises_an_error():
    for heads in HEADS.values():
        for head in heads:
            assert {format_of(head[:end]) for end in range(len(head))} <= {*HEADS, None}


def test_what_is_no_picture_is_described():
    assert [kind_of(name) for name in ("GIF", "ICO", None)] == ["video (GIF)", "ICO", "other file"]
    assert not set(PICTURES) & set(VIDEOS)
