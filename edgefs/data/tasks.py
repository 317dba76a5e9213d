"""From the row numbers of episodes to the images that a network trains on.

T: tasks.  W: n_way.  K: n_shot + n_query.

All images of all tasks are one tensor, channels_last in memory as the stored bytes are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgefs.data import DataSpec, ImageSet
from edgefs.data.augment import augments_of
from edgefs.data.episodes import EpisodeBatch

AUGMENT_STREAM = 1 << 40  # keeps augmentation's random numbers apart from the sampler's


@dataclass(frozen=True)
class Tasks:
    """The images of several episodes.

    Attributes:
        images: `float32 [T, W, K, C, H, W']`, normalised; the first n_shot of K are the support.
        first: Number of the first episode.
        step: From one episode's number to the next.
        kinds: `int64 [T, W]`, the class of the whole set (turns counted) that each class of a task is.
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

    Args:
        augment: Names of `edgefs.data.augment.AUGMENTS`, applied in the order of that table.
        seed: Of the augmentation, together with the episode's number.
    """

    def __init__(
        self, images: ImageSet, spec: DataSpec, *, augment: tuple[str, ...] = (), seed: int = 0, device: str = "cpu"
    ) -> None:
        self.images, self.spec, self.seed, self.device = images, spec, seed, device
        self.augment = augments_of(augment)

    def __call__(self, episodes: EpisodeBatch) -> Tasks:
        rows, shape = episodes.rows, episodes.rows.shape
        pixels = np.take(self.images.images, rows.ravel(), axis=0)
        turns = np.repeat(episodes.turns.ravel(), shape[2])
        for turn in (1, 2, 3):
            which = turns == turn
            if which.any():
                pixels[which] = np.rot90(pixels[which], turn, axes=(1, 2))
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


def normalised(pixels: NDArray[np.uint8], spec: DataSpec, device: str = "cpu") -> Tensor:
    """From `uint8 [B, H, W, C]` BGR or grey to `float32 [B, C, H, W]` RGB or grey, as in the exported graph."""
    images = torch.from_numpy(np.ascontiguousarray(pixels)).to(device).permute(0, 3, 1, 2)
    if images.shape[1] == 3:
        images = images.flip(1)
    mean = 255 * torch.tensor(spec.mean, device=device).view(1, -1, 1, 1)
    scale = 1 / (255 * torch.tensor(spec.std, device=device).view(1, -1, 1, 1))
    return images.to(torch.float32, memory_format=torch.channels_last).sub_(mean).mul_(scale)
