"""HEIC: decoded by pillow-heif where it is installed, else an error that names it."""

import sys
import types

import numpy as np
import pytest

from runtime.errors import FrameError
from runtime.opencv import decode_image

PICTURE = np.arange(8 * 6 * 4, dtype=np.uint8).reshape(6, 8, 4)
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0\0\0\x14ispe" + bytes(4) + b"\0\0\0\x08\0\0\0\x06"


@pytest.fixture
def library(monkeypatch):
    """A stand-in for pillow-heif that gives its `answer`, or raises it."""
    module = types.ModuleType("pillow_heif")
    module.answer = PICTURE[:, :, :3]

    def open_heif(data, *, convert_hdr_to_8bit, bgr_mode):
        assert (data, convert_hdr_to_8bit, bgr_mode) == (HEIC, True, True)
        if isinstance(module.answer, Exception):
            raise module.answer
        return module.answer

    module.open_heif = open_heif
    monkeypatch.setitem(sys.modules, "pillow_heif", module)
    return module


def test_a_heic_is_decoded_by_the_library(library):
    np.testing.assert_array_equal(decode_image(HEIC), PICTURE[:, :, :3])
    library.answer = np.dstack([PICTURE[:, :, :3], np.zeros((6, 8), np.uint8)])  # all transparent
    assert (decode_image(HEIC) == 128).all()


def test_a_damaged_heic_is_a_frame_error(library):
    library.answer = ValueError("Unexpected end of file")
    with pytest.raises(FrameError, match=r"photo\.jpg cannot be used: a HEIC must be complete.*Unexpected end"):
        decode_image(HEIC, "photo.jpg")


def test_without_the_library_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(FrameError, match=r"photo\.heic cannot be used: .*pip install pillow-heif"):
        decode_image(HEIC, "photo.heic")


def test_a_heic_of_too_many_pixels_is_refused_before_the_library_sees_it(library):
    library.answer = AssertionError("the decoder was called")
    with pytest.raises(FrameError, match="a HEIC must have 1 to 16,000,000 pixels"):
        decode_image(HEIC[:-8] + b"\0\0\x40\0\0\0\x40\0")


def test_the_real_library_gives_the_same_picture():
    pillow_heif = pytest.importorskip("pillow_heif")
    import io

    plain = np.kron(np.arange(48, dtype=np.uint8).reshape(6, 8), np.ones((16, 16), np.uint8))
    picture = np.dstack([plain, 255 - plain, plain // 2])
    file = io.BytesIO()
    pillow_heif.from_bytes("BGR", picture.shape[1::-1], picture.tobytes()).save(file, quality=95)
    assert np.abs(decode_image(file.getvalue()).astype(int) - picture).mean() < 3
    with pytest.raises(FrameError, match="must be complete"):
        decode_image(file.getvalue()[:-50])
