"""Shuffled batches of a decoded image set. A thread prepares the next one while the network trains.

The content of a batch depends only on (seed, epoch, position).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgefs.data import DataSpec, ImageSet
from edgefs.data.augment import augments_of
from edgefs.data.tasks import normalised


class Batches:
    """Batches of images `float32 [B, C, H, W]` with labels `int64 [B]`; iterate over `epoch(i)`.

    Args:
        rows: Rows of the set that are drawn.
        balanced: Draw every class equally often.

    Attributes:
        waited_s: Seconds that the network has waited for batches.
    """

    def __init__(
        self,
        images: ImageSet,
        rows: NDArray[np.int64],
        spec: DataSpec,
        *,
        batch: int,
        augment: tuple[str, ...] = (),
        balanced: bool = False,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.images, self.rows, self.spec, self.device = images, rows, spec, device
        self.batch, self.seed, self.balanced = batch, seed, balanced
        self.augment = augments_of(augment)
        self.waited_s = 0.0

    def __len__(self) -> int:
        """Batches in an epoch. All have nearly the same size, because a single image has no batch statistics."""
        return max(1, -(-len(self.rows) // self.batch))

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        rng = np.random.default_rng((self.seed, number))
        parts = np.array_split(self._order(rng), len(self))
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(self._prepare, parts[0], (self.seed, number, 0))
            for position in range(len(parts)):
                began = time.perf_counter()
                ready = ahead.result()
                self.waited_s += time.perf_counter() - began
                if position + 1 < len(parts):
                    ahead = pool.submit(self._prepare, parts[position + 1], (self.seed, number, position + 1))
                yield ready

    def _order(self, rng: np.random.Generator) -> NDArray[np.int64]:
        if not self.balanced:
            return rng.permutation(self.rows)
        labels = self.images.labels[self.rows]
        share = 1 / np.bincount(labels)[labels]
        return rng.choice(self.rows, len(self.rows), p=share / share.sum())

    def _prepare(self, rows: NDArray[np.int64], key: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
        images = normalised(self.images.images[rows], self.spec, self.device)
        rng = np.random.default_rng((*key, 1))
        for change in self.augment:
            images = change(images, (len(rows), 1, 1), rng)
        return images, torch.from_numpy(self.images.labels[rows]).to(self.device)
