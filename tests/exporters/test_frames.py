"""Choosing frames evenly, and running a function on many frames in batches."""

import numpy as np

from exporters.frames import BATCH, evenly_spaced, in_batches


def test_chosen_items_reach_from_the_first_to_the_last():
    assert evenly_spaced(10, 4).tolist() == [0, 3, 6, 9]
    assert evenly_spaced(10, 99).tolist() == list(range(10))


def test_batches_are_bounded_and_their_rows_joined_in_order():
    sizes = []

    def first_pixel(frames):
        sizes.append(len(frames))
        return frames[:, 0, 0]

    frames = np.arange(2 * BATCH + 1, dtype=np.uint8)[:, None, None, None]
    assert in_batches(first_pixel, frames).ravel().tolist() == list(range(2 * BATCH + 1))
    assert sizes == [BATCH, BATCH, 1]
