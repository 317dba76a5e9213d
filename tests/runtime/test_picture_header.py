"""The header of a picture decides before a decoder sees it."""

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.errors import FrameError
from runtime.opencv import decode_image
from runtime.picture_header import PictureHeader, read_header

MIB = 1 << 20
SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WebP": ".webp", "BMP": ".bmp", "TIFF": ".tiff", "AVIF": ".avif"}
PEAK = """
import re, sys
from pathlib import Path
from runtime.errors import FrameError
from runtime.opencv import decode_image, encode_jpeg
import numpy as np

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

decode_image(encode_jpeg(np.zeros((8, 8, 3), np.uint8)))
for path in sys.argv[1:]:
    data = Path(path).read_bytes()
    Path("/proc/self/clear_refs").write_text("5")  # the highest mark starts anew
    before = peak()
    try:
        what = decode_image(data).shape
    except FrameError as error:
        what = str(error)
    print(path.rpartition("/")[2], (peak() - before) // 1000, what, sep="|")
"""


def encoded(suffix, width=60, height=40, options=()):
    picture = np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)
    try:
        return cv2.imencode(suffix, picture, list(options))[1].tobytes()
    except cv2.error as error:
        pytest.skip(f"this OpenCV cannot write {suffix}: {error}")


def png(width, height, colour=2, bits=8):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = 1 + width * bits * {0: 1, 2: 3, 6: 4}[colour] // 8
    pixels = zlib.compressobj(1)
    data = b"".join(pixels.compress(bytes(row)) for _ in range(height)) if height < 20_000 else b""
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data + pixels.flush()) + chunk(b"IEND", b"")


def with_size(data, width, height):
    """A JPEG whose frame header announces another size."""
    at = next(at for at in range(len(data)) if data[at] == 0xFF and data[at + 1] in (0xC0, 0xC2))
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


@pytest.mark.parametrize(("format_", "suffix"), SUFFIXES.items())
def test_the_header_of_every_format_is_read(format_, suffix):
    assert read_header(encoded(suffix)) == PictureHeader(format_, 60, 40)
    assert decode_image(encoded(suffix)).shape == (40, 60, 3)


def test_a_lossless_webp_and_a_progressive_jpeg_are_read():
    assert read_header(encoded(".webp", options=(cv2.IMWRITE_WEBP_QUALITY, 101))) == PictureHeader("WebP", 60, 40)
    progressive = encoded(".jpg", options=(cv2.IMWRITE_JPEG_PROGRESSIVE, 1))
    assert read_header(progressive) == PictureHeader("JPEG", 60, 40, passes=True)


@pytest.mark.parametrize("suffix", [".jp2", ".ppm", ".hdr", ".pfm", ".ras", ".pxm", ".exr", ".gif"])
def test_other_formats_of_opencv_never_reach_its_decoders(suffix, monkeypatch):
    data = encoded(suffix) if suffix not in (".hdr", ".pfm", ".exr") else b"#?RADIANCE\n"
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("the decoder was called"))
    with pytest.raises(
        FrameError, match=r"must be a JPEG, PNG, WebP, BMP, TIFF, AVIF or HEIC, but this (is a|of [\d,]+ bytes is none)"
    ):
        decode_image(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (png(12_000, 12_000)[:200], r"a PNG must have 1 to 16,000,000 pixels, but this one has 12,000 x 12,000"),
        (png(0, 10), "but this one has 0 x 10"),
        (b"\xff\xd8\xff", "its header is damaged"),
        (b"II*\0\x08\0\0\0\0\0", "its header is damaged"),
        (b"BM", "its header is damaged"),
    ],
)
def test_a_header_that_announces_too_much_or_nothing_is_refused_before_decoding(data, message, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("the decoder was called"))
    with pytest.raises(FrameError, match=message):
        decode_image(data)


@pytest.mark.parametrize(("format_", "suffix"), SUFFIXES.items())
def test_damaged_headers_raise_nothing_but_a_frame_error(format_, suffix):
    good, rng = encoded(suffix), np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(good[: int(rng.integers(1, len(good)))] if rng.random() < 0.3 else good)
        for at in rng.integers(0, min(len(data), 300), 3):
            data[at] = rng.integers(0, 256)
        try:
            read_header(bytes(data))
        except FrameError:
            continue


def test_a_large_jpeg_is_decoded_at_half_of_its_sides():
    assert decode_image(encoded(".jpg", 4001, 4000)).shape == (2000, 2001, 3)
    assert decode_image(encoded(".jpg", 4000, 4000)).shape == (4000, 4000, 3)


def hostile_pictures(folder):
    """60 pictures that are as expensive as the limits allow, or that announce more than they hold."""
    grey = np.zeros((4000, 4000), np.uint8)
    grey[::9] = 90
    colour, many = cv2.merge([grey] * 3), cv2.merge([grey] * 4)
    wide = np.zeros((8000, 8000, 3), np.uint8)
    exif = bytes.fromhex("ffe1002245786966000049492a000800000001001201030001000000060000000000 0000".replace(" ", ""))

    def written(suffix, picture, *options):
        return cv2.imencode(suffix, picture, list(options))[1].tobytes()

    progressive = (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    full = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    jpegs = [
        written(".jpg", colour),
        written(".jpg", wide),
        written(".jpg", colour[:3000], *progressive, *full),
        written(".jpg", colour, *progressive, *full),
        written(".jpg", wide[:2500], *progressive, *full),
        written(".jpg", grey),
    ]
    pictures = [*jpegs, *(jpeg[:2] + exif + jpeg[2:] for jpeg in jpegs), *(jpeg[: len(jpeg) // 2] for jpeg in jpegs)]
    pictures += [png(4000, 4000, colour_, bits) for colour_, bits in ((0, 8), (2, 8), (6, 8), (2, 16), (6, 16))]
    pictures += [
        png(width, height) for width, height in ((16_000_000, 1), (1, 16_000), (12_000, 12_000), (65_500, 999))
    ]
    for suffix in (".webp", ".bmp", ".tiff", ".png"):
        pictures += [written(suffix, many), written(suffix, colour), written(suffix, wide[:4100])]
    pictures += [written(".tiff", many.astype(np.uint16) * 250), written(".tiff", colour.astype(np.float32))]
    sides = ((65_500, 65_500), (8000, 8000), (8000, 8001), (1, 65_500), (0, 1), (60_000, 1000))
    pictures += [with_size(encoded(".jpg"), *side) for side in sides]
    pictures += [with_size(encoded(".jpg", options=progressive), *side) for side in sides]
    pictures += [written(suffix, colour[:64, :64]) for suffix in (".jp2", ".ppm", ".gif")]
    pictures += [b"", b"\xff\xd8\xff" * 30_000, b"GIF89a", b"#?RADIANCE\n-Y 65535 +X 65535\n", b"P6 65535 65535 255\n"]
    pictures += [written(".avif", colour[:2000]), written(".avif", colour)] if cv2.haveImageWriter(".avif") else []
    for i, data in enumerate(pictures):
        (folder / f"{i:02}").write_bytes(data)
    return sorted(folder.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux measures the peak of a process")
@pytest.mark.parametrize("first", ["", "import cv2\n"], ids=["edgefs first", "cv2 imported before"])
def test_sixty_hostile_pictures_take_at_most_150_mb_each(tmp_path, first):
    paths = hostile_pictures(tmp_path)
    command = [sys.executable, "-c", first + PEAK, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    lines = [line.split("|") for line in done.stdout.splitlines()]
    assert len(lines) == len(paths) >= 58
    assert [line for line in lines if int(line[1]) > 150] == []
