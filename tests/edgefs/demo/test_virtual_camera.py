"""The virtual camera: a seed decides every frame, and the print stays in view."""

import cv2
import numpy as np

from edgefs.demo import virtual_camera
from edgefs.demo.virtual_camera import DESK, HEIGHT, WIDTH, film


def checkers() -> np.ndarray:
    return np.kron(np.indices((6, 8)).sum(axis=0) % 2 * 255, np.ones((40, 40)))[..., None].repeat(3, 2).astype(np.uint8)


def test_a_seed_decides_everything_and_no_two_frames_are_alike():
    first, again, other = (list(film(checkers(), 3, np.random.default_rng(seed))) for seed in (0, 0, 1))
    assert first[0].shape == (HEIGHT, WIDTH, 3)
    assert first[0].dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], other[0])


def test_the_camera_never_loses_sight_of_the_middle_of_the_print():
    centre = np.array([[[DESK[1] / 2, DESK[0] / 2]]])
    for seed in range(50):
        for pose in virtual_camera._poses(48, np.random.default_rng(seed)):
            x, y = cv2.perspectiveTransform(centre, pose)[0, 0]
            assert 0.3 * WIDTH < x < 0.7 * WIDTH
            assert 0.3 * HEIGHT < y < 0.7 * HEIGHT


def test_a_still_camera_does_not_blur_and_a_moving_one_blurs_along_its_way():
    frame = cv2.resize(checkers(), (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
    still, moving = np.eye(3), np.array([[1, 0, 16], [0, 1, 0], [0, 0, 1.0]])
    assert virtual_camera._smear(frame, still, still) is frame
    blurred = virtual_camera._smear(frame, still, moving).astype(float)
    across, along = (np.abs(np.diff(blurred, axis=axis)).max() for axis in (0, 1))
    assert along < 64 < across
