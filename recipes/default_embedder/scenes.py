"""Pictures to learn from, composed of the training photos: close-ups, things on grounds, shelves of many things.

The pool's photos are 32 to 96 pixels wide, so enlarged ones are blurred; a network that has only seen those tells shop
photographs apart badly. Where several photos share a picture, each at about its own size, edges and textures are sharp
and every part of the picture is a lesson of its own, because the teacher is asked about each part (`lessons.py`).
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from photos import photos_of, read_rgb

CANVAS = 224  # pixels, what the teacher sees
# How often a photo comes from each source: alone on a picture, and as one of many. Amazon's are the only sharp ones.
ALONE = {"tiny_imagenet": 0.5, "caltech101": 0.25, "office_caltech10/amazon": 0.25}
AMONG = {"tiny_imagenet": 0.45, "caltech101": 0.2, "office_caltech10/amazon": 0.15, "cifar_fs/train": 0.2}
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX)
LETTERS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%&.-"))

photo_at = lru_cache(maxsize=None)(read_rgb)  # all of them decoded: 0.9 GB


class Scenes:
    """Picture i is always the same; any part of the sequence is a fair sample.

    classes: folders per source, as `split_classes` gives them.
    """

    def __init__(self, classes: dict[str, list[Path]], seed: int) -> None:
        self.photos = {source: [photos_of(folder) for folder in folders] for source, folders in classes.items()}
        self.seed = seed

    def picture(self, i: int) -> np.ndarray:
        """uint8 [CANVAS, CANVAS, 3] RGB."""
        rng = np.random.default_rng([self.seed, i])
        make = (self.close_up, self.things, self.shelf)[rng.choice(3, p=(0.5, 0.2, 0.3))]
        picture = make(rng)
        if rng.random() < 0.3:
            sharpen(picture, rng)
        if rng.random() < 0.3:
            mark(picture, rng)
        return recolour(picture, rng) if rng.random() < 0.5 else picture

    def photo(self, rng: np.random.Generator, shares: dict[str, float]) -> np.ndarray:
        source = list(shares)[rng.choice(len(shares), p=list(shares.values()))]
        classes = self.photos[source]
        photos = classes[rng.integers(len(classes))]
        return photo_at(photos[rng.integers(len(photos))])

    def close_up(self, rng: np.random.Generator) -> np.ndarray:
        return random_crop(self.photo(rng, ALONE), rng, CANVAS, CANVAS, 0.25)

    def things(self, rng: np.random.Generator) -> np.ndarray:
        """One to three photos, small, on another photo or a plain ground."""
        plain = np.full((CANVAS, CANVAS, 3), rng.integers(0, 256, (1, 1, 3)), np.uint8)
        picture = plain if rng.random() < 0.4 else self.close_up(rng)
        for _ in range(rng.integers(1, 4)):
            height, width = (CANVAS * rng.uniform(0.3, 0.85, 2)).astype(int)
            top, left = rng.integers(0, CANVAS - height + 1), rng.integers(0, CANVAS - width + 1)
            picture[top : top + height, left : left + width] = random_crop(
                self.photo(rng, AMONG), rng, height, width, 0.4
            )
        return picture

    def shelf(self, rng: np.random.Generator) -> np.ndarray:
        """Rows of photos side by side, cut off anywhere; half of the rows repeat one photo, as shops do."""
        rows, columns = rng.integers(2, 5, 2)
        height, width = math.ceil(CANVAS / (rows - 0.4)), math.ceil(CANVAS / (columns - 0.4))
        bands = []
        for _ in range(rows):
            same = self.photo(rng, AMONG) if rng.random() < 0.5 else None
            tiles = [self.photo(rng, AMONG) if same is None else same for _ in range(columns)]
            bands.append(np.hstack([random_crop(tile, rng, height, width, 0.6) for tile in tiles]))
        wall = np.vstack(bands)
        top, left = rng.integers(0, wall.shape[0] - CANVAS + 1), rng.integers(0, wall.shape[1] - CANVAS + 1)
        return np.ascontiguousarray(wall[top : top + CANVAS, left : left + CANVAS])


def random_crop(image: np.ndarray, rng: np.random.Generator, height: int, width: int, least: float) -> np.ndarray:
    """A part (`least` to all of the area) of the photo, a little turned, maybe mirrored: one affine map."""
    tall, wide = image.shape[:2]
    side = math.sqrt(rng.uniform(least, 1.0))
    scale = side * min(tall / height, wide / width)  # photo pixels per picture pixel
    squeeze = math.exp(rng.uniform(-0.15, 0.15))
    angle = rng.normal(0, 0.12)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = turn @ np.diag([scale * squeeze * rng.choice((-1, 1)), scale / squeeze])
    slack = np.array([wide - scale * width, tall - scale * height]) / 2
    centre = np.array([wide, tall]) / 2 + rng.uniform(-1, 1, 2) * np.maximum(slack, 0)
    if scale > 1.3:  # shrinking: average first, or fine detail turns into false patterns
        factor = 1 / scale
        image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        matrix, centre = matrix * factor, centre * factor
    offset = centre - matrix @ np.array([width / 2, height / 2])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, np.c_[matrix, offset], (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101)


def sharpen(picture: np.ndarray, rng: np.random.Generator) -> None:
    blurred = cv2.GaussianBlur(picture, (0, 0), rng.uniform(1.0, 2.5))
    amount = rng.uniform(0.5, 1.5)
    cv2.addWeighted(picture, 1 + amount, blurred, -amount, 0, dst=picture)


def mark(picture: np.ndarray, rng: np.random.Generator) -> None:
    """Print, lines and patches, as on packages and signs."""
    for _ in range(rng.integers(1, 7)):
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        x, y, x2, y2 = (int(v) for v in rng.integers(0, CANVAS, 4))
        thick = int(rng.integers(1, 4))
        match rng.integers(4):
            case 0:
                cv2.line(picture, (x, y), (x2, y2), colour, thick, cv2.LINE_AA)
            case 1:
                cv2.rectangle(picture, (x, y), (x + x2 // 4 + 2, y + y2 // 4 + 2), colour, -1)
            case 2:
                axes = (2 + x2 // 8, 2 + y2 // 8)
                filled = -1 if rng.random() < 0.5 else thick
                cv2.ellipse(picture, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, colour, filled, cv2.LINE_AA)
            case _:
                font, scale = FONTS[rng.integers(len(FONTS))], float(rng.uniform(0.4, 1.6))
                for line in range(rng.integers(1, 4)):
                    text = "".join(rng.choice(LETTERS, rng.integers(2, 10)))
                    cv2.putText(picture, text, (x - 40, y + int(32 * scale * line)), font, scale, colour, thick, 16)


def recolour(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Other hue, saturation and light. The teacher sees it too: a green thing and a red one are two things."""
    angle = rng.normal(0, 0.3) if rng.random() < 0.7 else rng.uniform(-math.pi, math.pi)
    saturation, gain = math.exp(rng.normal(0, 0.3)), math.exp(rng.normal(0, 0.2))
    to_yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    cos, sin = saturation * math.cos(angle), saturation * math.sin(angle)
    turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    matrix = gain * np.linalg.inv(to_yiq) @ turn @ to_yiq
    offset = np.full((3, 1), rng.normal(0, 10))
    return cv2.transform(picture, np.c_[matrix, offset])
