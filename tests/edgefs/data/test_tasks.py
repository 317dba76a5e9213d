"""From bytes to what a network trains on."""

import numpy as np
import pytest

pytestmark = pytest.mark.torch


def test_the_omniglot_graph_turns_black_ink_on_white_paper_into_ones_on_zeros():
    from edgefs.data import spec_of
    from edgefs.data.tasks import normalised

    spec = spec_of("omniglot")
    pixels = np.full((1, 28, 28, 1), 255, np.uint8)
    pixels[0, 3, 4] = 0
    images = normalised(pixels, spec)
    assert images.sum() == pytest.approx(1)
    assert images[0, 0, 3, 4] == pytest.approx(1)
