"""Shuffled batches of a decoded image set, prepared one ahead by a thread, so that the network does not wait.

What a batch holds is a function of (seed, epoch, position), whatever the thread does.
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
from edgefs.data.augment import AUGMENTS
from edgefs.data.tasks import normalised
from edgefs.errors import ConfigError


class Batches:
    """Iterate over `epoch(i)`: images `float32 [B, C, H, W]`, labels `int64 [B]`.

    rows: of the set, which are drawn.  balance: draw every class equally often ("sampler").  waited_s: for batches.
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
        unknown = [name for name in augment if name not in AUGMENTS]
        if unknown:
            raise ConfigError(f"augment must be among {', '.join(AUGMENTS)}, but has {unknown}")
        self.images, self.rows, self.spec, self.device = images, rows, spec, device
        self.batch, self.seed, self.balanced = batch, seed, balanced
        self.augment = [change for name, change in AUGMENTS.items() if name in augment]
        self.waited_s = 0.0

    def __len__(self) -> int:
        """Batches in an epoch: all of nearly the same size, because a rest of one image has no batch statistics."""
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
