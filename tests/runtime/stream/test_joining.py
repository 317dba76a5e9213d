"""Joining the frames of a stream before the decision."""

import numpy as np
import pytest

from runtime.stream.joining import FRAMES, Joiner

X, Y = np.eye(2, 4, dtype=np.float32)


def near(angle: float) -> np.ndarray:
    return np.asarray(np.cos(angle) * X + np.sin(angle) * Y, np.float32)


def test_the_first_frame_decides_alone_and_the_next_ones_by_their_unit_mean():
    joiner = Joiner("cosine")
    first = near(0.2)
    assert joiner.add(first, 0.0) is first
    mean = joiner.add(near(-0.2), 0.1)
    np.testing.assert_allclose(mean, X, atol=1e-6)


def test_only_the_last_frames_count():
    joiner = Joiner("cosine")
    for i in range(20):
        mean = joiner.add(near(0.6 if i < 20 - FRAMES else 0.0), i / 30)
    np.testing.assert_allclose(mean, X, atol=1e-6)


@pytest.mark.parametrize(("embedding", "time_s"), [(near(0.1), 5.0), (Y, 0.1), (np.ones(7, np.float32), 0.1)])
def test_a_silence_another_scene_or_another_model_starts_anew(embedding, time_s):
    joiner = Joiner("cosine")
    joiner.add(X, 0.0)
    assert joiner.add(embedding, time_s) is embedding


def test_distances_take_the_plain_mean():
    joiner = Joiner("euclidean")
    joiner.add(2 * X, 0.0)
    np.testing.assert_allclose(joiner.add(4 * X, 0.1), 3 * X)
