"""The part of the frame in which something moves."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.camera import open_camera
from runtime.teaching.motion import LEAST_FRAMES, MOST, MotionBox

CLIPS = {"labmouse": 0.9, "otb_coke": 0.9}  # clip -> least share of the thing that the suggested region must hold


def moving(n, *, camera_moves=False, seed=0):
    """Frames of a bright square that wanders over a background of noise."""
    draw = np.random.default_rng(seed)
    background = draw.integers(0, 120, (180, 320, 3), np.uint8)
    for i in range(n):
        frame = np.roll(background, 7 * i, axis=1) if camera_moves else background.copy()
        frame[60:110, 120 + 3 * i : 170 + 3 * i] = 220
        yield frame


def box_of(frames):
    motion = MotionBox()
    for frame in frames:
        motion.add(frame)
    return motion.box()


def test_the_box_is_around_what_moves_and_leaves_out_the_rest():
    x, y, w, h = box_of(moving(20))
    assert x < 120 / 320 < (170 + 3 * 19) / 320 < x + w
    assert y < 60 / 180 < 110 / 180 < y + h
    assert w * h < MOST


def test_there_is_none_for_a_still_scene_a_moving_camera_or_a_short_look():
    still = next(moving(1))
    assert box_of([still] * 20) is None
    assert box_of(moving(20, camera_moves=True)) is None
    assert box_of(moving(LEAST_FRAMES)) is None, "that is one change less"


@pytest.mark.parametrize("clip", CLIPS)
def test_in_a_real_clip_the_thing_is_inside(clip, shared_data):
    lines = (shared_data / "clips" / f"{clip}.boxes.txt").read_text().splitlines()
    if not lines[0].count(","):
        pytest.skip("the boxes have another form")
    with open_camera(shared_data / "clips" / f"{clip}.mp4") as camera:
        frames = [frame.image for frame, _ in zip(camera, range(40), strict=False)]
    x, y, w, h = box_of(frames)
    height, width = frames[0].shape[:2]
    inside = []
    for line in lines[:40]:
        left, top, wide, high = (float(part) for part in line.split(","))
        across = min(left + wide, (x + w) * width) - max(left, x * width)
        down = min(top + high, (y + h) * height) - max(top, y * height)
        inside.append(max(0.0, across) * max(0.0, down) / (wide * high))
    assert np.mean(inside) >= CLIPS[clip]
