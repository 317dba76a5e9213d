"""Row numbers -> what a network trains on: one gather of bytes, quarter turns, augmentation, normalisation.

T: tasks.  W: n_way.  K: n_shot + n_query.

All images of all tasks are one tensor, channels_last in memory because the bytes already lie that way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgefs.data import DataSpec, ImageSet
from edgefs.data.augment import AUGMENTS
from edgefs.data.episodes import EpisodeBatch
from edgefs.errors import ConfigError

AUGMENT_STREAM = 1 << 40  # keeps augmentation's random numbers apart from the sampler's


@dataclass(frozen=True)
class Tasks:
    """images: `float32 [T, W, K, C, H, W']`, normalised.  The first n_shot of K are the support.

    first, step: number of the first episode, and from one to the next.
    kinds: `int64 [T, W]`, which of all classes of the set (turns counted) each class of a task is.
    """

    images: Tensor
    n_shot: int
    first: int
    step: int
    kinds: Tensor

    @property
    def support(self) -> Tensor:
        """`float32 [T, W, S, C, H, W']`"""
        return self.images[:, :, : self.n_shot]

    @property
    def query(self) -> Tensor:
        """`float32 [T, W, Q, C, H, W']`"""
        return self.images[:, :, self.n_shot :]

    def __len__(self) -> int:
        return int(self.images.shape[0])


class TaskLoader:
    """Turn episodes of one image set into tensors.

    augment: names of AUGMENTS, applied in the order of that table.  seed: with the episode's number, of what they do.
    """

    def __init__(
        self, images: ImageSet, spec: DataSpec, *, augment: tuple[str, ...] = (), seed: int = 0, device: str = "cpu"
    ) -> None:
        unknown = [name for name in augment if name not in AUGMENTS]
        if unknown:
            raise ConfigError(f"augment must be among {', '.join(AUGMENTS)}, but has {unknown}")
        self.images, self.spec, self.seed, self.device = images, spec, seed, device
        self.augment = [change for name, change in AUGMENTS.items() if name in augment]

    def __call__(self, episodes: EpisodeBatch) -> Tasks:
        rows, shape = episodes.rows, episodes.rows.shape
        pixels = turned(np.take(self.images.images, rows.ravel(), axis=0), np.repeat(episodes.turns.ravel(), shape[2]))
        images = normalised(pixels, self.spec, self.device)
        if self.augment:
            rng = np.random.Generator(np.random.Philox(key=(self.seed + AUGMENT_STREAM, episodes.first)))
            for change in self.augment:
                images = change(images, shape, rng)
        return Tasks(
            images.unflatten(0, shape),
            episodes.support.shape[2],
            episodes.first,
            episodes.step,
            torch.from_numpy(episodes.kinds).to(self.device),
        )


def turned(pixels: NDArray[np.uint8], turns: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Turn images `uint8 [B, H, W, C]` by quarter turns `int [B]`, in place."""
    for turn in (1, 2, 3):
        which = turns == turn
        if which.any():
            pixels[which] = np.rot90(pixels[which], turn, axes=(1, 2))
    return pixels


def normalised(pixels: NDArray[np.uint8], spec: DataSpec, device: str = "cpu") -> Tensor:
    """`uint8 [B, H, W, C]` BGR or grey -> `float32 [B, C, H, W]` RGB or grey; the arithmetic of the exported graph."""
    images = torch.from_numpy(np.ascontiguousarray(pixels)).to(device).permute(0, 3, 1, 2)
    if images.shape[1] == 3:
        images = images.flip(1)
    mean = 255 * torch.tensor(spec.mean, device=device).view(1, -1, 1, 1)
    scale = 1 / (255 * torch.tensor(spec.std, device=device).view(1, -1, 1, 1))
    return images.to(torch.float32, memory_format=torch.channels_last).sub_(mean).mul_(scale)
