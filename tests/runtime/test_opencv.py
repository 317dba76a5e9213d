"""Decoding and encoding pictures of limited size."""

import sys

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


def test_without_opencv_the_error_has_the_install_line(monkeypatch):
    load_cv2.cache_clear()
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(OpenCVMissing, match=r"pip install 'edgefs\[pc\]'"):
        load_cv2()
