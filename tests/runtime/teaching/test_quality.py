"""Frames without information are refused with the right reason; all other frames are accepted."""

import cv2
import numpy as np
import pytest

from runtime.teaching.quality import SAME_VIEW, blurred, measure, same_view


def noise(*shape, low=0, high=256):
    return np.random.default_rng(0).integers(low, high, shape, np.uint8)


@pytest.mark.parametrize("depth", [(3,), (1,), ()], ids=str)
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2), (48, 64), (480, 640), (7, 20_000)], ids=str)
def test_every_frame_can_be_measured(size, depth):
    frame = noise(*size, *depth)
    before = frame.copy()
    quality = measure(frame)
    assert all(np.isfinite([quality.low, quality.high, quality.sharpness]))
    assert 0 <= quality.low <= quality.high <= 255
    assert quality.sharpness >= 0
    np.testing.assert_array_equal(frame, before)


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        (np.zeros((120, 160, 3), np.uint8), "too dark"),  # a covered lens
        (noise(120, 160, 3, low=0, high=30), "too dark"),
        (np.full((120, 160, 3), 255, np.uint8), "too bright"),
        (noise(120, 160, low=240), "too bright"),
        (np.full((120, 160, 3), 128, np.uint8), None),  # an empty grey belt
        (np.full((120, 160, 3), 60, np.uint8), None),
        (noise(120, 160, 3), None),
    ],
)
def test_exposure_faults_are_named(frame, fault):
    assert measure(frame).exposure_fault() == fault


def test_a_dark_thing_on_black_and_a_bright_one_on_white_are_accepted():
    dark, bright = np.zeros((120, 160, 3), np.uint8), np.full((120, 160, 3), 255, np.uint8)
    dark[40:80, 60:100] = 90
    bright[40:80, 60:100] = 150
    assert measure(dark).exposure_fault() is None
    assert measure(bright).exposure_fault() is None


def test_sharpness_decreases_with_blur_and_does_not_depend_on_the_frame_size(tiny):
    picture = tiny.pattern(3, 480, 640)
    sharpness = [measure(cv2.GaussianBlur(picture, (0, 0), s) if s else picture).sharpness for s in (0, 2, 5, 12)]
    assert sharpness == sorted(sharpness, reverse=True)
    assert sharpness[0] > 4 * sharpness[-1]
    large = cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    assert measure(large).sharpness == pytest.approx(sharpness[0], rel=0.25)


def test_blur_is_found_only_by_comparison_within_a_burst():
    assert not blurred(np.array([])).any()
    assert not blurred(np.array([1.0, 1.0, 0.01])).any()  # three frames are too few to compare
    np.testing.assert_array_equal(blurred(np.array([1.0, 0.9, 0.1, 1.1, 0.3])), [False, False, True, False, False])
    assert not blurred(np.full(9, 0.02)).any()  # smooth things are smooth in every frame
    assert not blurred(np.zeros(9)).any()


@pytest.mark.parametrize("scale", [1, 1000])
def test_the_same_view_is_distinguished_from_a_similar_one(scale):
    def at(cosine):
        return np.array([cosine, np.sqrt(1 - cosine**2)], np.float32) * np.float32(scale)

    taken = np.stack([at(-1), at(1)])
    limit = 1 - SAME_VIEW / 2
    assert same_view(at(limit + 1e-4), taken)
    assert not same_view(at(limit - 1e-4), taken)
    assert not same_view(at(1), taken[:0])
