"""What cannot be exported is refused when it is asked for."""

import numpy as np
import pytest

from exporters import ExportError, Pictures, PicturesError, Request


@pytest.mark.parametrize(("options", "error", "message"), [
    ({"targets": ("tflite",)}, ExportError, "tensorrt-rtx, but got"),
    ({"precisions": ()}, ExportError, "but got none"),
    ({"precisions": ("int8",)}, PicturesError, "--calibrate FOLDER"),
])  # fmt: skip
def test_impossible_requests_are_refused_at_once(options, error, message):
    with pytest.raises(error, match=message):
        Request(**options)


def test_the_frames_of_the_calibration_pictures_are_at_hand():
    frames = np.zeros((2, 4, 4, 3), np.uint8)
    pictures = Pictures(frames, np.zeros(2, np.int64), ("a", "b"), "folder")
    assert Request(precisions=("int8",), calibration=pictures).calibration_frames is frames
    with pytest.raises(PicturesError, match="must be calibrated"):
        _ = Request().calibration_frames
