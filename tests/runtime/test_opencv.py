"""Decoding and encoding pictures of limited size."""

import struct
import sys
import zlib

import cv2
import numpy as np
import pytest

from runtime.errors import CameraMissing, FrameError, OpenCVMissing
from runtime.opencv import MAX_JPEG_SIDE, decode_image, encode_jpeg, load_cv2, read_image


def test_a_picture_is_nearly_the_same_after_encoding_and_decoding(tmp_path):
    picture = np.full((12, 20, 3), (10, 120, 240), np.uint8)
    path = tmp_path / "picture.jpg"
    path.write_bytes(encode_jpeg(picture))
    np.testing.assert_allclose(read_image(path), picture, atol=4)
    assert decode_image(encode_jpeg(picture[:, :, 0])).shape == picture.shape


@pytest.mark.parametrize("data", [b"", b"no picture"])
def test_bytes_that_are_no_picture_are_named(data):
    with pytest.raises(FrameError, match=rf"cup\.jpg cannot be used: .* this of {len(data)} bytes is none of them"):
        decode_image(data, "cup.jpg")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CameraMissing, match=r"absent\.jpg must be a readable picture"):
        read_image(tmp_path / "absent.jpg")
    with pytest.raises(CameraMissing, match="must be a readable picture"):
        read_image("a\0b")


def test_a_picture_too_large_for_a_jpeg_is_refused():
    with pytest.raises(FrameError, match=r"at most 65,500 pixels a side"):
        encode_jpeg(np.zeros((1, MAX_JPEG_SIDE + 1), np.uint8))


def picture_with(alpha):
    picture = np.random.default_rng(0).integers(0, 256, (6, 9, 4), np.uint8)
    picture[:, :, 3] = alpha
    return picture


SIDE = np.arange(9) // 5 * 255  # the left five columns are transparent
STORED = {
    "PNG": (".png", lambda p: p),
    "PNG of 16 bits": (".png", lambda p: p.astype(np.uint16) * 257),
    "WebP": (".webp", lambda p: p),
    "TIFF": (".tiff", lambda p: p),
}


@pytest.mark.parametrize("name", STORED)
def test_transparent_pixels_are_grey_whatever_colour_is_stored_for_them(name):
    suffix, change = STORED[name]
    picture = picture_with(SIDE)
    options = [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == ".webp" else []
    decoded = decode_image(cv2.imencode(suffix, change(picture), options)[1].tobytes())
    assert (decoded[:, :5] == 128).all()
    np.testing.assert_array_equal(decoded[:, 5:], picture[:, 5:, :3])
    half = decode_image(cv2.imencode(".png", picture_with(128))[1].tobytes())
    np.testing.assert_allclose(half, picture[:, :, :3] * 0.5 + 64, atol=1.5)


def test_a_picture_whose_alpha_is_full_stays_and_that_of_a_bmp_means_nothing():
    for suffix, alpha in ((".png", 255), (".bmp", 0)):
        picture = picture_with(alpha)
        np.testing.assert_array_equal(decode_image(cv2.imencode(suffix, picture)[1].tobytes()), picture[:, :, :3])


@pytest.mark.parametrize("orientation", range(9))
@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_transparency_is_turned_by_exif_as_the_colours_are(orientation, suffix):
    """The transparent pixels are the black ones of the corner: none but these become grey."""
    picture = np.full((6, 9, 4), 255, np.uint8)
    picture[:2, :3] = 0
    exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([orientation, 0, 0, 0]) + bytes(4)
    data = cv2.imencode(suffix, picture, [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == ".webp" else [])[1].tobytes()
    if suffix == ".png":
        chunk = b"eXIf" + exif
        data = data[:33] + struct.pack(">I", len(exif)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]
    else:
        canvas = b"VP8X" + struct.pack("<I", 10) + bytes([0x18, 0, 0, 0, 8, 0, 0, 5, 0, 0])
        body = b"WEBP" + canvas + data[12:] + b"EXIF" + struct.pack("<I", len(exif)) + exif
        data = b"RIFF" + struct.pack("<I", len(body)) + body
    corner = decode_image(data)
    assert corner.shape[:2] == ((9, 6) if orientation in (5, 6, 7, 8) else (6, 9))
    assert (corner == 128).sum() == 18
    assert (corner == 255).sum() == 144
    top = corner[0, :, 0].min() == 128
    left = corner[:, 0, 0].min() == 128
    assert (top, left) == (orientation not in (3, 4, 7, 8), orientation not in (2, 3, 6, 7))


CUT = (".jpg", ".png", ".webp", ".bmp", ".tiff")


@pytest.mark.parametrize("suffix", CUT)
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_a_picture_that_is_cut_is_refused_by_every_opencv(suffix, keep, monkeypatch):
    picture = cv2.resize(np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8), (320, 240))
    data = cv2.imencode(suffix, picture)[1].tobytes()
    if suffix == ".jpg":  # OpenCV 4.10 decodes it and fills what is missing with grey
        monkeypatch.setattr(cv2, "imdecode", lambda *_: picture)
    with pytest.raises(FrameError, match=r"cup must be a complete|cup cannot be used"):
        decode_image(data[: int(len(data) * keep)], "cup")


def test_a_jpeg_with_a_preview_is_cut_when_only_the_preview_has_an_end():
    data = encode_jpeg(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8))
    preview = encode_jpeg(np.zeros((8, 8, 3), np.uint8))
    whole = data[:2] + b"\xff\xe1" + struct.pack(">H", len(preview) + 2) + preview + data[2:]
    assert decode_image(whole + b"what a phone appends").shape == (60, 80, 3)
    with pytest.raises(FrameError, match="must have its end"):
        decode_image(whole[: len(whole) // 2])


def test_jpegs_one_after_another_are_a_video_unless_the_second_is_a_smaller_copy_or_announced():
    data = encode_jpeg(np.zeros((60, 80, 3), np.uint8))
    with pytest.raises(FrameError, match=r"one picture, but this one is a video"):
        decode_image(data * 3)
    assert decode_image(data + encode_jpeg(np.zeros((30, 40, 3), np.uint8))).shape == (60, 80, 3)
    announced = data[:2] + b"\xff\xe2\0\x06MPF\0" + data[2:]
    assert decode_image(announced + data).shape == (60, 80, 3)


def test_grey_stays_only_when_asked_for():
    grey, colour = (encode_jpeg(np.zeros(shape, np.uint8)) for shape in ((6, 8), (6, 8, 3)))
    assert [decode_image(data, grey_stays=True).ndim for data in (grey, colour)] == [2, 3]
    assert decode_image(grey).ndim == 3


def test_without_opencv_the_error_has_the_install_line(monkeypatch):
    load_cv2.cache_clear()
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(OpenCVMissing, match=r"pip install 'edgefs\[pc\]'"):
        load_cv2()
