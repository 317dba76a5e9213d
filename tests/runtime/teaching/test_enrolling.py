"""Which frames of a burst become shots, and the advice about the others."""

import numpy as np

from runtime.opencv import decode_image
from runtime.recognition import AcceptedFrame, RejectedFrame
from runtime.teaching.enrolling import CROP_SIDE, Observation, advice, choose, crop_of, new_shots
from runtime.teaching.quality import FrameQuality


def observation(axis, sharpness=1.0, low=20.0, high=230.0):
    return Observation(np.eye(8, dtype=np.float32)[axis], b"jpeg", FrameQuality(low, high, sharpness))


NONE_TAKEN = np.zeros((0, 8), np.float32)


def test_dark_bright_blurred_and_repeated_frames_are_rejected_with_the_reason():
    burst = [
        *(observation(0), observation(0), observation(1, sharpness=0.5), observation(2, sharpness=0.01)),
        *(observation(3, high=10), observation(4, low=250)),
    ]
    kept, rejected, qualities = choose(burst, NONE_TAKEN)
    assert kept == [0, 2]
    assert [(frame.index, frame.reason) for frame in rejected] == [
        (1, "same view"), (3, "blurred"), (4, "too dark"), (5, "too bright"),
    ]  # fmt: skip
    assert qualities == [1.0, 0.5]


def test_views_that_the_class_has_already_are_rejected():
    assert choose([observation(0), observation(1)], np.eye(8, dtype=np.float32)[:1])[0] == [1]
    assert choose([], NONE_TAKEN) == ([], [], [])


def test_the_shots_of_one_burst_share_an_id_and_other_bursts_have_another():
    first = new_shots([observation(0), observation(1)], [1.0, 0.5], source="api", now_s=7.0)
    second = new_shots([observation(2)], [1.0], source="api", now_s=8.0)
    assert len({shot.burst for shot in first}) == 1
    assert first[0].burst != second[0].burst
    assert [(shot.quality, shot.source, shot.time_s) for shot in first] == [(1.0, "api", 7.0), (0.5, "api", 7.0)]


def test_a_crop_shows_the_whole_frame_with_a_limited_shorter_side():
    assert decode_image(crop_of(np.zeros((720, 1280, 3), np.uint8))).shape == (CROP_SIDE, 569, 3)
    assert decode_image(crop_of(np.zeros((40, 60), np.uint8))).shape == (40, 60, 3)


def test_advice_names_the_most_frequent_reason_first_and_the_missing_views():
    rejected = [RejectedFrame(1, "too dark"), RejectedFrame(2, "blurred"), RejectedFrame(3, "blurred")]
    assert list(advice(1, [AcceptedFrame(0, 1)], rejected)) == [
        "2 of 4 frames: blurred; hold still for a moment",
        "1 of 4 frames: too dark; add light",
        "1 view so far; five different ones make it reliable",
    ]
    assert list(advice(5, [AcceptedFrame(0, 1)], [])) == []
    assert list(advice(0, [], [])) == ["no frames were given"]
