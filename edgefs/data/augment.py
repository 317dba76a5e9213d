"""Augmentation of a batch of episodes. Each function changes all images at once.

`shift`, `warp`, `flip` and `colour` draw random numbers for every image. `mirror` draws one for each episode, so that a
mirrored character is a new class and not another view of the same. The sampler's `rotations` act on whole classes.

Every function takes images `float32 [B, C, H, W]` (normalised: 0 is blank paper, or the mean colour), the shape of the
episodes (T, W, K) with B = T·W·K, and a numpy generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgefs.errors import ConfigError

Shape = tuple[int, ...]


def mirror(images: Tensor, shape: Shape, rng: np.random.Generator) -> Tensor:
    """Mirror each episode with a probability of one half."""
    return _mirrored(images, np.repeat(rng.random(shape[0]) < 0.5, shape[1] * shape[2]))


def flip(images: Tensor, _shape: Shape, rng: np.random.Generator) -> Tensor:
    """Mirror each image with a probability of one half: for photos, whose mirror image shows the same class."""
    return _mirrored(images, rng.random(len(images)) < 0.5)


def shift(images: Tensor, _shape: Shape, rng: np.random.Generator) -> Tensor:
    """Move every image by up to an eighth of its side in each direction, as random crops of padded images do."""
    height, width = images.shape[2:]
    reach = max(1, height // 8)
    padded = F.pad(images, (reach, reach, reach, reach))
    moves = rng.integers(0, 2 * reach + 1, (2, len(images), 1))
    rows = torch.from_numpy(moves[0] + np.arange(height)).to(images.device)[:, :, None]
    columns = torch.from_numpy(moves[1] + np.arange(width)).to(images.device)[:, None, :]
    picked = padded.permute(0, 2, 3, 1)[torch.arange(len(images), device=images.device)[:, None, None], rows, columns]
    return picked.permute(0, 3, 1, 2)


def warp(images: Tensor, _shape: Shape, rng: np.random.Generator) -> Tensor:
    """Turn by about 5°, scale and shear by about 7 %, move by up to 7 %, as handwriting varies."""
    n = len(images)
    angle = rng.normal(0, 0.09, n)
    scale = np.exp(rng.normal(0, 0.07, (n, 2)))
    shear = rng.normal(0, 0.07, n)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], 1)
    stretch = np.zeros((n, 2, 2))
    stretch[:, 0, 0], stretch[:, 1, 1], stretch[:, 0, 1] = scale[:, 0], scale[:, 1], shear
    move = rng.uniform(-0.14, 0.14, (n, 2, 1))  # of half a side
    matrix = np.concatenate([turn @ stretch, move], axis=2).astype(np.float32)
    grid = F.affine_grid(torch.from_numpy(matrix).to(images.device), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False).contiguous(memory_format=torch.channels_last)


def colour(images: Tensor, _shape: Shape, rng: np.random.Generator) -> Tensor:
    """Change contrast and brightness by about a fifth, and each colour channel by about a tenth."""
    n, channels = images.shape[:2]
    gain = np.exp(rng.normal(0, 0.2, (n, 1, 1, 1))) * np.exp(rng.normal(0, 0.1, (n, channels, 1, 1)))
    offset = rng.normal(0, 0.2, (n, 1, 1, 1)) + rng.normal(0, 0.1, (n, channels, 1, 1))
    as_tensor = [torch.from_numpy(values.astype(np.float32)).to(images.device) for values in (gain, offset)]
    return images * as_tensor[0] + as_tensor[1]


def _mirrored(images: Tensor, which: np.ndarray) -> Tensor:
    rows = torch.from_numpy(np.flatnonzero(which)).to(images.device)
    return images.index_copy(0, rows, images[rows].flip(3))


AUGMENTS = {"mirror": mirror, "flip": flip, "shift": shift, "warp": warp, "colour": colour}


def augments_of(names: Sequence[str]) -> list[Callable[[Tensor, Shape, np.random.Generator], Tensor]]:
    """The named augmentations in the order of AUGMENTS. Raises ConfigError."""
    unknown = [name for name in names if name not in AUGMENTS]
    if unknown:
        raise ConfigError(f"augment must be among {', '.join(AUGMENTS)}, but has {unknown}")
    return [change for name, change in AUGMENTS.items() if name in names]
