"""The picture of the window."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.app.outputs.window import BAR, HEIGHT, WIDTH, draw


@pytest.mark.parametrize("shape", [None, (720, 1280), (1920, 1080), (2, 2), (100, 3000), (3000, 100)])
def test_the_answer_is_below_a_picture_of_any_shape_and_fits_the_screen(shape):
    image = None if shape is None else np.full((*shape, 3), 200, np.uint8)
    canvas = draw(image, "mug ü 0.91", "space: teach", "stored")
    assert canvas.shape[1] == WIDTH
    assert canvas.shape[0] <= HEIGHT + BAR
    assert canvas[-BAR:].max() > 200, "text"
