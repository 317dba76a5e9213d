"""N-way K-shot episodes, drawn as row numbers of any labelled data set.

T: tasks in a batch.  W: n_way.  S: n_shot.  Q: n_query.

Episode i is a function of (seed, i) alone: a counter-based generator is keyed with both. So a run resumes by
remembering one number, and processes share the work by taking every r-th episode.

    sampler = EpisodeSampler(labels, EpisodeShape(n_way=5, n_shot=1, n_query=15), seed=0)
    episode = sampler.batch(first=0, n_tasks=4)  # .support int64 [4, 5, 1], .query int64 [4, 5, 15]
    tasks = EpisodeDataset(any_torch_dataset, sampler)  # tasks[i] -> support, support labels, query, query labels
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefs.errors import ConfigError, DataError

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class EpisodeShape:
    """The shape of an episode. It usually differs between training and evaluation."""

    n_way: int
    n_shot: int
    n_query: int

    def __post_init__(self) -> None:
        if self.n_way < 2 or self.n_shot < 1 or self.n_query < 1:
            raise ConfigError(f"an episode must have n_way ≥ 2, n_shot ≥ 1 and n_query ≥ 1, but is {self}")

    def __str__(self) -> str:
        return f"{self.n_way}-way {self.n_shot}-shot {self.n_query}-query"


@dataclass(frozen=True)
class EpisodeBatch:
    """Several episodes as row numbers of the data set; class w of task t is in row [t, w].

    Attributes:
        support: `int64 [T, W, S]`.
        query: `int64 [T, W, Q]`.
        classes: `int64 [T, W]`, labels of the data set.
        turns: `int64 [T, W]`, quarter turns of each class, 0 if none.
        first: Number of the first episode.
        step: From one episode's number to the next (the number of processes).
        rotations: How many quarter turns of a class count as classes of their own.
    """

    support: Rows
    query: Rows
    classes: Rows
    turns: Rows
    first: int
    step: int
    rotations: int = 1

    @property
    def kinds(self) -> Rows:
        """`int64 [T, W]`, the classes with each quarter turn counted: rotations · class + turn."""
        return self.classes * self.rotations + self.turns

    @property
    def rows(self) -> Rows:
        """Support and query, `int64 [T, W, S + Q]`."""
        return np.concatenate([self.support, self.query], axis=2)


class EpisodeSampler:
    """Draw episodes without replacement.

    Args:
        labels: `int [N]`.
        seed: Of `draw` and `batch`.
        rotations: 4 makes four classes of every class, one for each quarter turn; 1 does not.

    Raises:
        DataError: There are fewer classes than ways, or fewer images in a class than shots and queries.
    """

    def __init__(self, labels: Sequence[int] | Rows, shape: EpisodeShape, *, seed: int = 0, rotations: int = 1) -> None:
        if rotations not in (1, 2, 4):
            raise ConfigError(f"rotations must be 1, 2 or 4 quarter turns per class, but is {rotations}")
        self.shape, self.seed, self.rotations = shape, seed, rotations
        self.labels, inverse, self.counts = np.unique(
            np.asarray(labels, np.int64), return_inverse=True, return_counts=True
        )
        self._check()
        self._padded = np.arange(self.counts.max()) >= self.counts[:, None]
        self._table: Rows = np.zeros(self._padded.shape, np.int64)  # row numbers of each class
        self._table[~self._padded] = np.argsort(inverse, kind="stable")
        self._ragged = bool(self._padded.any())

    def _check(self) -> None:
        shape, available = self.shape, len(self.labels) * self.rotations
        if available < shape.n_way:
            raise DataError(
                f"{shape} needs {shape.n_way} classes, but there are {available}; lower n_way or add classes"
            )
        needed, fewest = shape.n_shot + shape.n_query, int(self.counts.min())
        if fewest < needed:
            worst = int(self.labels[self.counts.argmin()])
            raise DataError(
                f"{shape} needs {needed} images in every class, but class {worst} has {fewest}; lower the shots or the "
                "queries (--n-query; for validation while training --val-query), or leave the class out"
            )

    def draw(self, index: int) -> tuple[Rows, Rows, Rows]:
        """Episode number index: rows `int64 [W, S + Q]`, classes `[W]`, turns `[W]`."""
        rng = np.random.Generator(np.random.Philox(key=(self.seed, index)))
        shape = self.shape
        chosen = rng.choice(len(self.labels) * self.rotations, shape.n_way, replace=False)
        classes, turns = chosen // self.rotations, chosen % self.rotations
        keys = rng.random((shape.n_way, self._table.shape[1]), np.float32)
        if self._ragged:
            keys[self._padded[classes]] = 2.0  # never drawn
        needed = shape.n_shot + shape.n_query
        if needed < self._table.shape[1]:
            picks = np.argpartition(keys, needed - 1, axis=1)[:, :needed]
            order = np.argsort(np.take_along_axis(keys, picks, axis=1), axis=1)
            picks = np.take_along_axis(picks, order, axis=1)
        else:
            picks = np.argsort(keys, axis=1)
        return self._table[classes[:, None], picks], self.labels[classes], turns.astype(np.int64)

    def batch(self, first: int, n_tasks: int, *, step: int = 1) -> EpisodeBatch:
        """Episodes first, first + step, … as one batch."""
        rows, classes, turns = zip(*(self.draw(first + i * step) for i in range(n_tasks)), strict=True)
        every = np.stack(rows)
        s = self.shape.n_shot
        return EpisodeBatch(
            every[..., :s], every[..., s:], np.stack(classes), np.stack(turns), first, step, self.rotations
        )

    def sample(self, n_episodes: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
        """Draw many episodes at once from a generator: support `[E, W, S]` and query `[E, W, Q]`, rows of the data set.

        It is faster than `batch`, but an episode then depends on those before it; classes are never turned.
        """
        shape = self.shape
        chosen = np.argsort(rng.random((n_episodes, len(self.labels)), np.float32), axis=1)[:, : shape.n_way]
        keys = rng.random((n_episodes, shape.n_way, self._table.shape[1]), np.float32)
        keys[self._padded[chosen]] = 2.0  # never drawn
        picks = np.argsort(keys, axis=2)[..., : shape.n_shot + shape.n_query]
        rows = np.take_along_axis(self._table[chosen], picks, axis=2)
        return rows[..., : shape.n_shot], rows[..., shape.n_shot :]

    def batches(self, n_tasks: int, *, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[EpisodeBatch]:
        """Endless batches from episode `start` on. Of `world` processes, process `rank` takes its share of each."""
        while True:
            yield self.batch(start + rank, n_tasks // world, step=world)
            start += n_tasks


class EpisodeDataset:
    """Any map-style data set as a map-style data set of episodes, for a DataLoader.

    Args:
        sampler: Made with `labels_of(dataset)`.
        length: Episodes of an epoch.
    """

    def __init__(self, dataset: Any, sampler: EpisodeSampler, *, length: int = 1000) -> None:
        self.dataset, self.sampler, self.length = dataset, sampler, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Any, Any, Any, Any]:
        """Support `[W · S, …]`, its labels `int64 [W · S]` in 0..W - 1, query `[W · Q, …]` and its labels."""
        import torch

        rows, _, turns = self.sampler.draw(index)
        shape = self.sampler.shape
        images = [self._images(row, int(turn)) for row, turn in zip(rows, turns, strict=True)]
        ways = torch.arange(shape.n_way)
        support = torch.cat([own[: shape.n_shot] for own in images])
        query = torch.cat([own[shape.n_shot :] for own in images])
        return support, ways.repeat_interleave(shape.n_shot), query, ways.repeat_interleave(shape.n_query)

    def _images(self, rows: Rows, turn: int) -> Any:
        import torch

        stack = torch.stack([torch.as_tensor(self.dataset[int(row)][0]) for row in rows])
        axes = (1, 2) if stack.dtype == torch.uint8 else (-2, -1)  # HWC bytes, or CHW floats
        return torch.rot90(stack, turn, axes) if turn else stack


def labels_of(dataset: Any) -> Rows:
    """The labels of any data set: its `labels` or `targets`; without those every item is read once."""
    for name in ("labels", "targets"):
        if hasattr(dataset, name):
            return np.asarray(getattr(dataset, name), np.int64)
    return np.array([int(dataset[i][1]) for i in range(len(dataset))], np.int64)
