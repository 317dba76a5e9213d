"""Changes of the student's view that the teacher does not see: perspective, mirroring, light, blur and noise."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from photos import SIZE
from student import normalise
from torch import Tensor

CORNER_SHIFT = 0.04  # standard deviation of each corner, in sides of the crop
TURN = 0.08  # standard deviation of the rotation, in radians


def student_view(pixels: np.ndarray, box: tuple[int, int, int, int], rng: np.random.Generator) -> np.ndarray:
    """One crop in a slightly different perspective: uint8 [H, W, 3] -> uint8 [SIZE, SIZE, 3].

    A third of the views is also shown at a lower resolution, as small things in a camera's picture are.
    """
    top, left, height, width = box
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    angle = rng.normal(0, TURN)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    corners = (corners @ turn + rng.normal(0, CORNER_SHIFT, (4, 2)) + 0.5) * (width, height) + (left, top)
    side = int(rng.integers(SIZE // 3, SIZE)) if rng.random() < 0.33 else SIZE
    target = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    view = cv2.warpPerspective(pixels, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return view if side == SIZE else cv2.resize(view, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)


def colour_change(n: int) -> tuple[Tensor, Tensor]:
    """A colour matrix (saturation, cast, brightness) [n, 3, 3] and an offset [n, 1, 3], for pixels centred on 0."""
    saturation = torch.empty(n, 1, 1).uniform_(0.8, 1.2)
    grey = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1).expand(n, 3, 3)
    cast = torch.empty(n, 1, 3).normal_(0, 0.06).exp()
    gain = torch.empty(n, 1, 1).normal_(0, 0.2).exp()
    matrix = (saturation * torch.eye(3) + (1 - saturation) * grey) * cast * gain
    return matrix, torch.empty(n, 1, 1).normal_(0, 0.1)


def blur_kernel(size: int = 9) -> Tensor:
    """An oriented Gaussian [size, size]: round for defocus, long for motion; a negative strength sharpens."""
    angle, long, short = torch.rand(()) * math.pi, 0.3 + 2.5 * torch.rand(()) ** 2, 0.3 + 0.7 * torch.rand(())
    y, x = torch.meshgrid(*[torch.arange(size) - size // 2.0] * 2, indexing="ij")
    along, across = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
    kernel = torch.exp(-0.5 * ((along / long) ** 2 + (across / short) ** 2))
    strength = torch.empty(()).uniform_(-0.8, 1.0)
    identity = torch.zeros(size, size)
    identity[size // 2, size // 2] = 1
    return (1 - strength) * identity + strength * kernel / kernel.sum()


def augment(images: np.ndarray) -> Tensor:
    """uint8 [N, H, W, 3] RGB in random order -> normalised float32 [N, 3, H, W], as a moving camera might show them.

    All get another light; the first quarter is blurred, by one kernel a batch, and the second quarter gets noise.
    """
    x = normalise(images)
    n, channels, height, width = x.shape
    matrix, offset = colour_change(n)
    x = torch.baddbmm(offset, x.permute(0, 2, 3, 1).reshape(n, -1, channels), matrix)
    x = x.view(n, height, width, channels).permute(0, 3, 1, 2)
    quarter = n // 4
    kernel = blur_kernel().expand(channels, 1, -1, -1)
    x[:quarter] = F.conv2d(x[:quarter], kernel, padding=4, groups=channels)
    x[quarter : 2 * quarter] += torch.randn(quarter, channels, height, width) * (0.1 * torch.rand(quarter, 1, 1, 1))
    return x.clamp_(-1, 1)
