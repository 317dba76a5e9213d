"""A simulated camera, held by hand over a photographic print on a desk. No two of its frames are equal.

    print on a desk -> pose of a pinhole camera -> motion blur -> uneven light -> exposure, colour cast -> noise

The ranges below are typical of a hand and a cheap webcam indoors. They were set before the first recognition result was
seen and were never tuned. Enrolment and recognition draw from the same ranges.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.opencv import load_cv2

WIDTH, HEIGHT, FPS = 1280, 720, 30
FOCAL = 1100.0  # pixels: about 60 degrees across, a common webcam
SHUTTER = 0.5  # of the time between two frames
MAX_BLUR = 11  # pixels; beyond it cv2.filter2D uses a Fourier transform, which is thirty times as slow

DESK = (1600, 2400)  # pixels of the scene, height and width
PRINT = 600  # pixels of the scene, the shorter side of the print

ZOOM = (0.55, 1.05)  # height of the print in frame heights
ROLL, TILT = 0.35, 0.5  # radians either way: 20 and 29 degrees
OFFSET = (0.12, 0.1)  # of the frame, either way
SHAKE = 0.004  # of the frame, either way, several times a second
GAIN = (0.65, 1.35)
GAMMA = (0.8, 1.25)
CAST = (0.9, 1.1)  # per colour
FALLOFF = 0.45  # how much darker the far side may be
VIGNETTE = 0.35  # how much darker the corners may be
NOISE = (2.0, 7.0)  # grey levels


def film(photo: NDArray[np.uint8], n_frames: int, rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """Film one photo, `uint8 [H, W, 3]` BGR, on a new desk in new light: yields `uint8 [720, 1280, 3]` BGR frames."""
    cv2 = load_cv2()
    scene = _scene(photo, rng)
    poses = _poses(n_frames + 1, rng)
    shade, tables, noise = _shade(rng), _tone_tables(n_frames, rng), _noise(rng)
    for pose, following, table in zip(poses, poses[1:], tables, strict=False):
        frame = cv2.warpPerspective(scene, pose, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT_101)
        frame = _smear(frame, pose, following)
        frame = cv2.multiply(frame, shade, scale=1 / 255)
        frame = cv2.LUT(frame, table)
        y, x = rng.integers(0, noise.shape[0] - HEIGHT), rng.integers(0, noise.shape[1] - WIDTH)
        yield cv2.add(frame, noise[y : y + HEIGHT, x : x + WIDTH], dtype=cv2.CV_8U)


def _scene(photo: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The photograph as a print with a white edge and a soft shadow, on a desk of random colour and grain."""
    cv2 = load_cv2()
    scale = PRINT / min(photo.shape[:2])
    print_ = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    print_ = cv2.copyMakeBorder(print_, 14, 14, 14, 14, cv2.BORDER_CONSTANT, value=(235, 235, 235))
    height, width = print_.shape[:2]
    y, x = (DESK[0] - height) // 2, (DESK[1] - width) // 2
    scene = cv2.resize(_desk((y, x, height, width), rng), DESK[::-1])
    scene[y : y + height, x : x + width] = print_
    return scene  # type: ignore[no-any-return]


def _desk(print_: tuple[int, int, int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A desk at half the scene's size, `uint8 [800, 1200, 3]`, with the shadow of a print (y, x, height, width)."""
    cv2 = load_cv2()
    size = (DESK[1] // 2, DESK[0] // 2)
    hsv = np.array([[[rng.integers(0, 180), rng.integers(0, 90), rng.integers(70, 220)]]], np.uint8)
    blotches = cv2.resize(rng.normal(0, 12, (6, 9)), size, interpolation=cv2.INTER_CUBIC)
    grain = cv2.resize(rng.normal(0, 7, (size[1] // 2, 7)), size, interpolation=cv2.INTER_CUBIC)
    y, x, height, width = (side // 2 for side in print_)
    shadow = np.ones(size[::-1])
    shadow[y + 6 : y + 12 + height, x + 4 : x + 8 + width] = 0.55
    desk = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR) + (blotches + grain)[..., None]
    return np.asarray(np.clip(desk * cv2.blur(shadow, (13, 13))[..., None], 0, 255), np.uint8)


def _walk(
    n: int, rng: np.random.Generator, low: float, high: float, hz: tuple[float, float] = (0.2, 0.9)
) -> NDArray[np.float64]:
    """A smooth random path between two limits, `float64 [n]` at FPS: two sines of random frequency and phase."""
    time_s = np.arange(n) / FPS
    waves = np.sin(2 * np.pi * (rng.uniform(*hz, 2) * time_s[:, None] + rng.uniform(0, 1, 2)))
    return np.asarray((low + high) / 2 + (high - low) / 2 * (waves @ (0.65, 0.35)), np.float64)


def _poses(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Homographies from scene to frame, `float64 [n, 3, 3]`, of a camera moved by hand."""
    cv2 = load_cv2()
    scales = _walk(n, rng, *ZOOM) * HEIGHT / PRINT
    pitch, yaw, roll = _walk(n, rng, -TILT, TILT), _walk(n, rng, -TILT, TILT), _walk(n, rng, -ROLL, ROLL)
    x, y = (
        (_walk(n, rng, -offset, offset) + _walk(n, rng, -SHAKE, SHAKE, hz=(3, 8))) * side
        for offset, side in zip(OFFSET, (WIDTH, HEIGHT), strict=True)
    )
    lens = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    to_centre = np.array([[1, 0, -DESK[1] / 2], [0, 1, -DESK[0] / 2], [0, 0, 1]])
    poses = np.empty((n, 3, 3))
    for i in range(n):
        rotation, _ = cv2.Rodrigues(np.array([pitch[i], yaw[i], roll[i]]))
        place = np.array([x[i], y[i], FOCAL]) / scales[i]
        poses[i] = lens @ np.column_stack([rotation[:, :2], place]) @ to_centre
    return poses


def _smear(frame: NDArray[np.uint8], pose: NDArray[np.float64], following: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Blur along the path of the centre of the print while the shutter is open."""
    cv2 = load_cv2()
    centre = np.array([[[DESK[1] / 2, DESK[0] / 2]]])
    way = (cv2.perspectiveTransform(centre, following) - cv2.perspectiveTransform(centre, pose))[0, 0] * SHUTTER
    length = float(np.hypot(*way))
    if length < 1.5:
        return frame
    radius = min(int(np.ceil(length / 2)), MAX_BLUR // 2)
    step = way / length * min(length / 2, radius)
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    for part in np.linspace(-1, 1, 4 * radius + 1):
        column, row = np.rint(radius + step * part).astype(int)
        kernel[row, column] += 1
    return cv2.filter2D(frame, -1, kernel / kernel.sum())  # type: ignore[no-any-return]


def _shade(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Light from one side and dark corners, `uint8 [720, 1280, 3]`; 255 is full brightness."""
    y, x = np.meshgrid(np.linspace(-1, 1, HEIGHT), np.linspace(-1, 1, WIDTH), indexing="ij")
    angle = rng.uniform(0, 2 * np.pi)
    side = (x * np.cos(angle) + y * np.sin(angle)) / np.sqrt(2) / 2 + 0.5
    light = (1 - rng.uniform(0, FALLOFF) * side) * (1 - rng.uniform(0, VIGNETTE) * (x**2 + y**2) / 2)
    return np.repeat((255 * light).astype(np.uint8)[..., None], 3, axis=2)


def _tone_tables(n: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Tone curves for each frame and colour, `uint8 [n, 256, 1, 3]`. Within a clip only the gain changes."""
    gains = _walk(n, rng, *GAIN)[:, None] * rng.uniform(*CAST, 3)
    curve = np.linspace(0, 1, 256) ** rng.uniform(*GAMMA)
    return np.clip(255 * gains[:, None, None, :] * curve[:, None, None], 0, 255).astype(np.uint8)


def _noise(rng: np.random.Generator) -> NDArray[Any]:
    """A tile of sensor noise, `int16`, larger than a frame; each frame takes a random part of it."""
    tile = rng.standard_normal((HEIGHT + 64, WIDTH + 64, 3), np.float32)
    return (tile * rng.uniform(*NOISE)).astype(np.int16)
