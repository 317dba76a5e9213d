"""What the training loop asks of a method, and the network most of them share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from edgefs.data.tasks import Tasks

HEAD = 2  # the last two weights of a Learner are its head's
LENGTH = 10**0.5  # of features beside prototypes: squared distances are then 20 (1 - cosine)


class Method(Protocol):
    """A Protocol, so that the loop knows no method and a method knows no loop.

    It is also an `nn.Module`: what its `state_dict` holds is what a checkpoint holds.
    """

    backbone: nn.Module
    metric: str | None  # of nearest class means on its embedding, after training; None: it adapts to every episode

    def gradients(self, tasks: Tasks) -> tuple[float, NDArray[np.float64]]:
        """Leave the mean gradient over tasks in every parameter's `.grad`; return the loss and accuracies `[T]`."""
        ...

    def accuracies(self, tasks: Tasks) -> NDArray[np.float64]:
        """The share of right answers on each task's query, `float64 [T]`, as the method is used after training."""
        ...


class Learner(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A backbone and a linear head for n_way classes: what gradient-based methods adapt. `[B, C, H, W]` to `[B, W]`.

    head: where it starts in every task.  "zero": an episode's classes come in random order, so whatever else it started
    from would speak for one order (Kao et al. 2022, arXiv:2106.15367; Ye and Chao 2022, arXiv:2106.16245); the first
    step of adaptation makes it the prototypes.  "prototypes": at them (Proto-MAML; Triantafillou et al. 2020,
    "Meta-Dataset", arXiv:1903.03096), on features of one length: before any adaptation it is a Prototypical Network.
    """

    metric = None  # its head answers, not class means

    def __init__(self, backbone: nn.Module, n_way: int, head: str = "zero") -> None:
        super().__init__()
        self.backbone, self.from_prototypes = backbone, head == "prototypes"
        self.head = nn.Linear(backbone.dim, n_way)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))  # type: ignore[no-any-return]

    def features(self, x: Tensor) -> Tensor:
        """What the head sees, `[B, D]`."""
        features = self.backbone(x)
        return LENGTH * F.normalize(features, dim=1) if self.from_prototypes else features

    def start(self, weights: Sequence[Tensor], features: Tensor, n_way: int) -> list[Tensor]:
        """The weights a task starts from: these, the head's set from its support's features `[W·S, D]`, class by class.

        There may be another number of classes than in training. Minus the squared distance to a prototype c is, but for
        what is the same for all of them, 2 c · f - |c|².
        """
        prototypes = features.unflatten(0, (n_way, -1)).mean(dim=1)
        return [*weights[:-HEAD], 2 * prototypes, -prototypes.square().sum(dim=1)]
