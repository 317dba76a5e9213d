"""Crops as a moving camera might have seen them: light, blur, noise."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from student import normalise
from torch import Tensor


def colour_change(n: int) -> tuple[Tensor, Tensor]:
    """Per image a 3x3 colour matrix (brightness, cast, saturation) and an offset, for pixels centred on 0."""
    saturation = torch.empty(n, 1, 1).uniform_(0.8, 1.2)
    grey = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1).expand(n, 3, 3)
    cast = torch.empty(n, 1, 3).normal_(0, 0.04).exp()
    gain = torch.empty(n, 1, 1).normal_(0, 0.15).exp()
    matrix = (saturation * torch.eye(3) + (1 - saturation) * grey) * cast * gain
    return matrix, torch.empty(n, 1, 1).normal_(0, 0.08)


def blur_kernel(size: int = 9) -> Tensor:
    """An oriented Gaussian: round is out of focus, long is motion; a negative strength sharpens."""
    angle, long, short = torch.rand(()) * math.pi, 0.3 + 2.5 * torch.rand(()) ** 2, 0.3 + 0.7 * torch.rand(())
    y, x = torch.meshgrid(*[torch.arange(size) - size // 2.0] * 2, indexing="ij")
    along, across = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
    kernel = torch.exp(-0.5 * ((along / long) ** 2 + (across / short) ** 2))
    strength = torch.empty(()).uniform_(-0.8, 1.0)
    identity = torch.zeros(size, size)
    identity[size // 2, size // 2] = 1
    return (1 - strength) * identity + strength * kernel / kernel.sum()


def disturb(images: np.ndarray, noise: Tensor) -> Tensor:
    """uint8 [N, H, W, 3] -> normalised float32 [N, 3, H, W] as a moving camera might have seen them."""
    x = normalise(images)
    n, channels, height, width = x.shape
    matrix, offset = colour_change(n)
    x = torch.baddbmm(offset, x.permute(0, 2, 3, 1).reshape(n, -1, channels), matrix)
    x = x.view(n, height, width, channels).permute(0, 3, 1, 2)
    # Batches are shuffled, so a fixed slice is a random third; one kernel a batch is enough over thousands of batches.
    third = n // 3
    x[:third] = F.conv2d(x[:third], blur_kernel().expand(channels, 1, -1, -1), padding=4, groups=channels)
    grain = noise[torch.randint(len(noise), ()), :, :height, :width]
    x[third // 2 : third * 2] += grain * (0.1 * torch.rand(()))
    return x.clamp_(-1, 1)
